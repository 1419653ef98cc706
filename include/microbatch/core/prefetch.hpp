#pragma once

#include <algorithm>
#include <cstddef>

#include "cache_line.hpp"

namespace microbatch::inline v0_1::detail {

/// Asks for the cache lines of a T some way behind `at`, to be written soon. A line of a recycled
/// chunk is in the cache of the core that has read it last, and fetching it takes longer than an
/// append. Fetching past the end of something does no harm.
template <class T>
inline void fetch_ahead(const T* at) noexcept {
  constexpr std::size_t most = 8 * cache_line;  // of one item
  constexpr std::size_t ahead = 12 * cache_line;
  const auto* bytes = reinterpret_cast<const char*>(at) + std::max(ahead, 3 * sizeof(T));
  for (std::size_t offset = 0; offset < std::min(sizeof(T), most); offset += cache_line) {
#if defined(__x86_64__)
    // Not __builtin_prefetch(p, 1): without -mprfchw it fetches for reading, which is of no use
    // here. Where the processor does not know prefetchw, it does nothing.
    asm volatile("prefetchw %0" : : "m"(bytes[offset]));
#else
    __builtin_prefetch(bytes + offset, 1);
#endif
  }
}

}  // namespace microbatch::inline v0_1::detail
