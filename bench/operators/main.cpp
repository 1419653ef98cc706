// What do windows by key, event time and operators cost, beside the same written by hand? And what
// memory does a key take? One run, contenders in turns.
//
//   bench_operators             two minutes
//   bench_operators --quick     that it runs; the figures mean nothing
//
// Beside items a second by the clock stands the processor time an item takes, on the thread that
// brings items and on the one that forms windows. With a core for each, the longer of the two is
// what the clock shows; it holds also where other programs want the cores.

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "comparison.hpp"

namespace {

using bench::seconds_of;

/// Nanoseconds an item, of one run.
struct Cost {
  double clock;
  double source;  // processor time of the thread that brings items
  double others;  // and of all others

  [[nodiscard]] double longer() const { return std::max(source, others); }
};

Cost measure(const bench::Contender& contender, std::size_t items) {
  const double clock = seconds_of(CLOCK_MONOTONIC);
  const double thread = seconds_of(CLOCK_THREAD_CPUTIME_ID);
  const double process = seconds_of(CLOCK_PROCESS_CPUTIME_ID);
  contender.run();
  const double source = seconds_of(CLOCK_THREAD_CPUTIME_ID) - thread;
  const double all = seconds_of(CLOCK_PROCESS_CPUTIME_ID) - process;
  const double each = 1e9 / static_cast<double>(items);
  return {(seconds_of(CLOCK_MONOTONIC) - clock) * each, source * each, (all - source) * each};
}

double median(std::vector<double> values) {
  std::ranges::sort(values);
  return values[values.size() / 2];
}
template <class F>
double median_of(const std::vector<Cost>& costs, F f) {
  std::vector<double> values;
  for (const Cost& cost : costs) values.push_back(f(cost));
  return median(values);
}

void compare(const bench::Comparison& comparison, int rounds) {
  const auto& contenders = comparison.contenders;
  std::vector<std::vector<Cost>> costs(contenders.size());
  for (int round = 0; round < rounds; ++round)
    for (std::size_t i = 0; i < contenders.size(); ++i)
      costs[i].push_back(measure(contenders[i], comparison.items));
  fmt::print("\n{}: {} items, {} rounds\n", comparison.title, comparison.items, rounds);
  fmt::print("{:<34}{:>10}{:>16}{:>9}{:>9}{:>9}{:>9}\n", "", "M items/s", "range", "source",
             "windows", "speed", "ns more");
  const auto longer = [](const Cost& cost) { return cost.longer(); };
  const double last = median_of(costs.back(), longer);
  for (std::size_t i = 0; i < contenders.size(); ++i) {
    const auto speed = [](const Cost& cost) { return 1e3 / cost.clock; };
    std::vector<double> speeds;
    for (const Cost& cost : costs[i]) speeds.push_back(speed(cost));
    const auto [least, most] = std::ranges::minmax(speeds);
    const double mine = median_of(costs[i], longer);
    fmt::print("{:<34}{:>10.1f}{:>16}{:>9.2f}{:>9.2f}{:>9.2f}{:>9.2f}\n", contenders[i].name,
               median(speeds), fmt::format("{:.1f}-{:.1f}", least, most),
               median_of(costs[i], [](const Cost& cost) { return cost.source; }),
               median_of(costs[i], [](const Cost& cost) { return cost.others; }), last / mine,
               mine - last);
  }
}

}  // namespace

int main(int argc, char** argv) {
  const bool quick = argc > 1 && std::strcmp(argv[1], "--quick") == 0;
  const std::size_t items = quick ? 200'000 : 8'000'000;
  const int rounds = quick ? 1 : 9;
  fmt::print(
      "source, windows: nanoseconds of processor time an item takes on the thread that brings "
      "items,\nand on the one that forms windows; speed, ns more: by the longer of the two, beside "
      "the last line\n");
  for (const auto& comparison : bench::keyed_windows(items)) compare(comparison, rounds);
  for (const auto& comparison : bench::event_time(items)) compare(comparison, rounds);
  bench::memory_per_key(quick ? 10'000 : 1'000'000);
}
