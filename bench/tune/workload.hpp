#pragma once

#include <chrono>
#include <cstddef>
#include <microbatch/core/clock.hpp>
#include <string>

namespace tune {

using microbatch::Duration;
using microbatch::TimePoint;
using Nanoseconds = std::chrono::duration<double, std::nano>;
using Microseconds = std::chrono::duration<double, std::micro>;
using Milliseconds = std::chrono::duration<double, std::milli>;
using Seconds = std::chrono::duration<double>;

enum class Arrivals { poisson, even, bursts };

/// What a user knows of the program that is to be tuned.
struct Workload {
  double rate = 100'000;  ///< items per second; of a recorded trace, its own
  Arrivals arrivals = Arrivals::poisson;
  std::string trace{};  ///< a file of arrival times, in place of `rate` and `arrivals`
  std::size_t producers = 2;
  std::size_t item_bytes = 64;
  Duration fixed = std::chrono::microseconds(500);  ///< of a callback, whatever its window
  Nanoseconds per_item = std::chrono::microseconds(1);
  bool burns = false;  ///< the callback computes; else it waits
  Duration target =
      std::chrono::milliseconds(50);  ///< of 99 items in 100: append to callback's end

  /// What the callback takes for a window of so many.
  [[nodiscard]] Duration callback(std::size_t items) const {
    return fixed + std::chrono::duration_cast<Duration>(per_item * static_cast<double>(items));
  }
};

/// What is to be chosen: any_of(CountWindow{window}, MaxAgeWindow{age}) on so many workers, in a
/// stream of that capacity.
struct Setting {
  std::size_t window = 0;
  Duration age{};
  std::size_t workers = 0;
  std::size_t capacity = 0;

  friend bool operator==(const Setting&, const Setting&) = default;
};

}  // namespace tune
