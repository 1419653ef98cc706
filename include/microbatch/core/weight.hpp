#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <limits>
#include <type_traits>

#include "errors.hpp"

namespace microbatch::inline v0_1::detail {

/// A weight as a user's function gave it; ConfigError where it is negative or no number.
template <class N>
[[nodiscard]] std::uint64_t checked_weight(N weight) {
  static_assert(std::is_arithmetic_v<N>, "microbatch: a weight function returns a number");
  if (!(weight >= N{}))
    throw ConfigError(
        fmt::format("weight function: a weight must not be negative, got {}", weight));
  constexpr auto most = std::numeric_limits<std::uint64_t>::max();
  if constexpr (std::is_floating_point_v<N>)
    if (weight >= static_cast<N>(most)) return most;
  return static_cast<std::uint64_t>(weight);
}

}  // namespace microbatch::inline v0_1::detail
