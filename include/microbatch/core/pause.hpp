#pragma once

namespace microbatch::inline v0_1::detail {

/// Tells the processor that we spin.
inline void pause() noexcept {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

}  // namespace microbatch::inline v0_1::detail
