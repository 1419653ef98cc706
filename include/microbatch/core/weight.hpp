#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <type_traits>

#include "errors.hpp"

namespace microbatch::detail {

/// A weight as a user's function gave it; ConfigError where it is negative or no number.
template <class N>
[[nodiscard]] std::uint64_t checked_weight(N weight) {
  static_assert(std::is_arithmetic_v<N>, "microbatch: a weight function returns a number");
  if (!(weight >= N{}))
    throw ConfigError(
        fmt::format("weight function: a weight must not be negative, got {}", weight));
  return static_cast<std::uint64_t>(weight);
}

}  // namespace microbatch::detail
