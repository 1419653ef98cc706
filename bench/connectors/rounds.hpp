#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

namespace bench {

/// Does the work once and tells how many items a second that were.
struct Contender {
  std::string name;
  std::function<double()> items_per_second;
};

inline double median(std::vector<double> values) {
  std::ranges::sort(values);
  const std::size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

/// Runs the contenders in turns, so that what else the machine does hits all of them, and prints
/// the medians, ranges, and each one's ratio to the first in the same round.
inline void compare(const std::string& title, int rounds,
                    const std::vector<Contender>& contenders) {
  std::vector<std::vector<double>> speeds(contenders.size());
  for (int round = 0; round < rounds; ++round)
    for (std::size_t i = 0; i < contenders.size(); ++i)
      speeds[i].push_back(contenders[i].items_per_second());
  fmt::print("{}, {} rounds\n", title, rounds);
  fmt::print("{:<40} {:>12} {:>25} {:>8}\n", "", "items/s", "range", "ratio");
  for (std::size_t i = 0; i < contenders.size(); ++i) {
    std::vector<double> ratios;
    for (std::size_t r = 0; r < speeds[i].size(); ++r)
      ratios.push_back(speeds[i][r] / speeds[0][r]);
    const auto [least, most] = std::ranges::minmax(speeds[i]);
    fmt::print("{:<40} {:>12.0f} {:>12.0f}-{:<12.0f} {:>8.2f}\n", contenders[i].name,
               median(speeds[i]), least, most, median(ratios));
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
