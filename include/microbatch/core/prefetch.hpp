#pragma once

#include <cstddef>

namespace microbatch::detail {

/// Asks for the cache line some way behind `at`, to be written soon. A line of a recycled chunk is
/// in the cache of the core that has read it last, and fetching it takes longer than an append.
/// Fetching past the end of something does no harm.
inline void fetch_ahead(const void* at) noexcept {
  constexpr std::size_t ahead = 768;
#if defined(__x86_64__)
  // Not __builtin_prefetch(p, 1): without -mprfchw it fetches for reading, which is of no use here.
  // Where the processor does not know prefetchw, it does nothing.
  asm volatile("prefetchw %c1(%0)" : : "r"(at), "i"(ahead));
#else
  __builtin_prefetch(static_cast<const char*>(at) + ahead, 1);
#endif
}

}  // namespace microbatch::detail
