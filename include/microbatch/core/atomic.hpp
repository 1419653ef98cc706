#pragma once

/// The one seam for atomics: every atomic of the library is a detail::Atomic, so that a model
/// checker can stand in for the machine. A model defines MICROBATCH_MODEL as the header that
/// declares Atomic, Mutex, light_barrier and heavy_barrier over its own simulated memory.
#ifdef MICROBATCH_MODEL
#include MICROBATCH_MODEL
#else

#include <atomic>
#include <condition_variable>
#include <mutex>

#if defined(__SANITIZE_THREAD__)
#define MICROBATCH_THREAD_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define MICROBATCH_THREAD_SANITIZER 1
#endif
#endif

namespace microbatch::inline v0_1::detail {

template <class T>
using Atomic = std::atomic<T>;

using Mutex = std::mutex;
using ConditionVariable = std::condition_variable;

/// Whether the operating system offers a barrier that only its caller pays for (Linux membarrier,
/// private expedited). Asked once per process.
[[nodiscard]] bool has_asymmetric_barrier() noexcept;

/// Makes every running thread of the process pass a full barrier. Without an asymmetric barrier it
/// is an ordinary full fence, and light_barrier pays its half.
void heavy_barrier(bool asymmetric) noexcept;

/// The producer's half of a store-load handshake: free where heavy_barrier reaches all threads.
/// The thread sanitizer does not model fences, so there it is a read-modify-write of its own.
inline void light_barrier([[maybe_unused]] bool asymmetric) noexcept {
#ifdef MICROBATCH_THREAD_SANITIZER
  std::atomic<int> full{0};
  full.fetch_add(1, std::memory_order_seq_cst);
#else
  if (asymmetric)
    std::atomic_signal_fence(std::memory_order_seq_cst);
  else
    std::atomic_thread_fence(std::memory_order_seq_cst);
#endif
}

/// Whether light_barrier(true) does its half here.
[[nodiscard]] inline bool is_light_barrier_light() noexcept {
#ifdef MICROBATCH_THREAD_SANITIZER
  return true;
#else
  return has_asymmetric_barrier();
#endif
}

}  // namespace microbatch::inline v0_1::detail

#endif
