#pragma once

#include <ranges>

namespace microbatch::inline v0_1::detail {

/// What sum(f), map(f) and their like take. A program's own sum(window) must not be taken for ours,
/// which argument-dependent lookup finds, too.
template <class F>
concept NotARange = !std::ranges::range<F>;

}  // namespace microbatch::inline v0_1::detail
