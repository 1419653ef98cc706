#pragma once

#include <atomic>

namespace microbatch::inline v0_1::mqtt {

/// How many sinks of this process wait for Paho, whose only thread a source may be holding.
inline std::atomic<int>& waiting_sinks() noexcept {
  // Written by sinks, read by sources; a count and nothing else, so relaxed everywhere.
  static std::atomic<int> count{0};
  return count;
}

struct WaitingSink {
  WaitingSink() { waiting_sinks().fetch_add(1, std::memory_order_relaxed); }
  WaitingSink(const WaitingSink&) = delete;
  WaitingSink& operator=(const WaitingSink&) = delete;
  ~WaitingSink() { waiting_sinks().fetch_sub(1, std::memory_order_relaxed); }
};

}  // namespace microbatch::inline v0_1::mqtt
