#include <microbatch/core/atomic.hpp>

#if defined(__linux__) && !defined(MICROBATCH_NO_MEMBARRIER) && \
    !defined(MICROBATCH_THREAD_SANITIZER)
#define MICROBATCH_HAS_MEMBARRIER 1
#endif

#ifdef MICROBATCH_HAS_MEMBARRIER
#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace microbatch::inline v0_1::detail {

bool has_asymmetric_barrier() noexcept {
#ifdef MICROBATCH_HAS_MEMBARRIER
  static const bool registered =
      ::syscall(__NR_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) == 0;
  return registered;
#else
  return false;
#endif
}

void heavy_barrier([[maybe_unused]] bool asymmetric) noexcept {
#ifdef MICROBATCH_HAS_MEMBARRIER
  if (asymmetric) {
    ::syscall(__NR_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0);
    return;
  }
#endif
  light_barrier(false);
}

}  // namespace microbatch::inline v0_1::detail
