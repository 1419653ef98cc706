#pragma once

#include <fmt/format.h>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string_view>

#include "../core/clock.hpp"
#include "../core/errors.hpp"

namespace microbatch::inline v0_1::detail {

/// At least this long is every interval: below it a timer could not be told from a busy loop.
inline constexpr Duration shortest_interval = std::chrono::microseconds(1);

inline std::size_t checked_size(std::string_view what, std::size_t value) {
  constexpr std::size_t most = std::numeric_limits<std::size_t>::max() / 2;
  if (value < 1 || value > most)
    throw ConfigError(fmt::format("{} must be from 1 to {}, got {}{}", what, most, value,
                                  value > most ? " (a negative number?)" : ""));
  return value;
}

template <class Rep, class Period>
Duration checked_interval(std::string_view what, std::chrono::duration<Rep, Period> value) {
  using Seconds = std::chrono::duration<long double>;
  const long double seconds = std::chrono::duration_cast<Seconds>(value).count();
  constexpr long double most = 100.0L * 365 * 24 * 3600;
  if (!(seconds > 0) || seconds > most)
    throw ConfigError(fmt::format("{} must be above 0 s and at most 100 years, got {} s", what,
                                  static_cast<double>(seconds)));
  return std::max(shortest_interval, to_duration(value));
}

/// Rounded down, also below zero.
[[nodiscard]] constexpr std::int64_t floor_div(Duration a, Duration b) noexcept {
  const std::int64_t quotient = a / b;
  return a % b < Duration::zero() ? quotient - 1 : quotient;
}

}  // namespace microbatch::inline v0_1::detail
