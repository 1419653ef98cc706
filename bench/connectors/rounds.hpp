#pragma once

#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

namespace bench {

/// Does the work once, on so many items, and tells how many a second that were.
struct Contender {
  std::string name;
  std::size_t items;
  std::function<double()> items_per_second;
};

/// Processor time of this process so far, all its threads.
inline double processor_seconds() {
  rusage used{};
  ::getrusage(RUSAGE_SELF, &used);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec);
  };
  return seconds(used.ru_utime) + seconds(used.ru_stime);
}

inline double median(std::vector<double> values) {
  std::ranges::sort(values);
  const std::size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

/// Runs the contenders in turns, so that what else the machine does hits all of them, and prints
/// the medians, ranges, and each one's ratio to the first in the same round; with the processor
/// time per item, which other programs disturb less.
inline void compare(const std::string& title, int rounds,
                    const std::vector<Contender>& contenders) {
  std::vector<std::vector<double>> speeds(contenders.size());
  std::vector<std::vector<double>> costs(contenders.size());
  for (int round = 0; round < rounds; ++round)
    for (std::size_t i = 0; i < contenders.size(); ++i) {
      const double before = processor_seconds();
      speeds[i].push_back(contenders[i].items_per_second());
      costs[i].push_back(1e9 * (processor_seconds() - before) /
                         static_cast<double>(contenders[i].items));
    }
  fmt::print("{}, {} rounds\n", title, rounds);
  fmt::print("{:<30} {:>10} {:>21} {:>6} {:>12} {:>13}\n", "", "items/s", "range", "ratio",
             "cpu ns/item", "range");
  for (std::size_t i = 0; i < contenders.size(); ++i) {
    std::vector<double> ratios;
    for (std::size_t r = 0; r < speeds[i].size(); ++r)
      ratios.push_back(speeds[i][r] / speeds[0][r]);
    const auto [least, most] = std::ranges::minmax(speeds[i]);
    const auto [cheapest, dearest] = std::ranges::minmax(costs[i]);
    fmt::print("{:<30} {:>10.0f} {:>10.0f}-{:<10.0f} {:>6.2f} {:>12.0f} {:>6.0f}-{:<6.0f}\n",
               contenders[i].name, median(speeds[i]), least, most, median(ratios), median(costs[i]),
               cheapest, dearest);
  }
}

inline double seconds_since(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

/// The server that an environment variable names; without one, the program says so and ends well.
inline std::string server(const char* variable) {
  if (const char* value = std::getenv(variable)) return value;
  fmt::print("skipped, because {} names no server\n", variable);
  std::exit(0);
}

}  // namespace bench
