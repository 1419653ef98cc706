// The time emitters side by side: the same arrivals, and a consumer that oversleeps from 5 s to
// 8.5 s, under each of them. The clock is a manual one, so nothing here waits.

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <microbatch/microbatch.hpp>
#include <microbatch/testing/manual_clock.hpp>
#include <microbatch/testing/manual_executor.hpp>
#include <string>
#include <string_view>

using namespace std::chrono_literals;
using microbatch::Duration;
using Seconds = std::chrono::duration<double>;

namespace {

struct Arrival {
  char name;
  Duration at;
};
constexpr Arrival arrivals[] = {{'a', 500ms},   {'b', 1'200ms}, {'c', 2'600ms}, {'d', 5'200ms},
                                {'e', 6'300ms}, {'f', 6'600ms}, {'g', 9'200ms}};
constexpr Duration asleep_from = 5s, asleep_until = 8'500ms, end = 12s;

/// A line of text with a scale of five columns to the second.
class Timeline {
 public:
  void put(Duration at, std::string_view text) {
    auto column = static_cast<std::size_t>(Seconds(at).count() * 5);
    if (column < line_.size()) column = line_.size();  // several at one time: side by side
    line_.resize(column, ' ');
    line_ += text;
  }
  void print(std::string_view label) const { fmt::print("{:<19}{}\n", label, line_); }

 private:
  std::string line_;
};

/// Lets the arrivals happen under this emitter; draws each window at the time at which it leaves.
template <class Emitter>
bool show(std::string_view label, Emitter emitter, std::string_view expected) {
  microbatch::testing::ManualClock clock;
  microbatch::testing::ManualExecutor executor;
  const auto start = clock.now();
  microbatch::Stream<char> stream({.clock = clock});
  Timeline drawn;
  std::string details;
  std::string seen;

  auto consumer = microbatch::streaming(
      stream, std::move(emitter),
      [&](microbatch::Window<char>& window) {
        const std::string items = fmt::format("[{}]", fmt::join(window, " "));
        drawn.put(clock.now() - start, items);
        details += fmt::format("{:>20.1f} s  {:<10} {:.1f} s to {:.1f} s, by {}\n",
                               Seconds(clock.now() - start).count(), items,
                               Seconds(window.opened_at() - start).count(),
                               Seconds(window.closed_at() - start).count(), window.reason());
        seen += fmt::format("{:.1f}{} ", Seconds(clock.now() - start).count(), items);
      },
      {.executor = executor});
  executor.run_ready();

  const auto* next = std::begin(arrivals);
  for (Duration time{}; time <= end; time += 100ms) {
    clock.set(start + time);
    if (next != std::end(arrivals) && next->at == time) stream.append((next++)->name);
    if (time < asleep_from || time >= asleep_until) executor.run_ready();
  }
  drawn.print(label);
  fmt::print("{}\n", details);
  consumer.stop();
  if (seen == expected) return true;
  fmt::print("expected {}\n\n", expected);
  return false;
}

}  // namespace

int main() {
  using namespace microbatch;

  Timeline seconds, items, consumer;
  for (int s = 0; s <= 11; ++s) seconds.put(std::chrono::seconds(s), fmt::format("{}", s));
  for (const Arrival& arrival : arrivals) items.put(arrival.at, std::string(1, arrival.name));
  consumer.put(asleep_from, "zzzzzzzzzzzzzzzzz");
  seconds.print("seconds");
  items.print("items");
  consumer.print("consumer");
  fmt::print("\nBelow: when a window left, its items, its bounds, its reason.\n\n");

  bool good = true;
  good &= show("FixedTimeWindow", FixedTimeWindow{2s}, "2.0[a b] 4.0[c] 8.5[d] 8.5[e f] 10.0[g] ");
  good &= show("RelaxedTimeWindow", RelaxedTimeWindow{2s}, "2.0[a b] 4.0[c] 8.5[d e f] 10.0[g] ");
  good &= show("PeriodWindow", PeriodWindow{2s}, "2.0[a b] 4.0[c] 8.5[d e f] 10.5[g] ");
  good &= show("MaxAgeWindow", MaxAgeWindow{2s}, "2.5[a b] 4.6[c] 8.5[d e f] 11.2[g] ");
  good &= show("count 2 or age", any_of(CountWindow{2}, MaxAgeWindow{2s}),
               "1.2[a b] 4.6[c] 8.5[d e] 8.6[f] 11.2[g] ");
  good &= show("count 2 and age", all_of(CountWindow{2}, MaxAgeWindow{2s}),
               "2.5[a b] 8.5[c d] 8.5[e f] ");
  return good ? 0 : 1;
}
