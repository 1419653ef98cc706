#pragma once

#include <cstddef>

namespace microbatch::inline v0_1::detail {

/// A constant, because std::hardware_destructive_interference_size is missing in clang 16 and
/// would make the layout depend on compiler flags.
inline constexpr std::size_t cache_line = 64;

}  // namespace microbatch::inline v0_1::detail
