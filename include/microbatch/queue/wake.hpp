#pragma once

#include <functional>

#include "../core/atomic.hpp"
#include "../core/clock.hpp"

namespace microbatch::inline v0_1::detail {

/// Where producers ring when the engine should be stepped. Between two arms it rings once, however
/// many lanes reach their share.
///
/// Threads: any. The function is called with a lock held that on_wake() takes: once on_wake({}) has
/// returned, nobody is inside the old function.
class Wake {
 public:
  explicit Wake(Clock& clock) noexcept : clock_(clock) {}

  void on_wake(std::function<void()> f) {
    std::lock_guard lock(mutex_);
    call_ = std::move(f);
  }

  void arm() noexcept {
    rung_at_.store(never.time_since_epoch().count(), std::memory_order_relaxed);
    armed_.store(true, std::memory_order_relaxed);  // its readers are ordered by the lanes' barrier
  }
  void disarm() noexcept { armed_.store(false, std::memory_order_relaxed); }
  /// When the first ring since arm() came; never if none did.
  [[nodiscard]] TimePoint rung_at() const noexcept {
    return TimePoint(Duration(rung_at_.load(std::memory_order_relaxed)));
  }

  /// By a producer whose lane reached its share.
  [[gnu::noinline]] void ring() {
    // relaxed: only one of several ringers need go on; the mutex orders what the callee sees. The
    // load spares those that come between the ring and the engine's next turn a contended exchange.
    if (!armed_.load(std::memory_order_relaxed) ||
        !armed_.exchange(false, std::memory_order_relaxed))
      return;
    rung_at_.store(clock_.now().time_since_epoch().count(), std::memory_order_relaxed);
    ring_always();
  }
  /// By those who cannot know whether the engine is armed.
  void ring_always() {
    std::lock_guard lock(mutex_);
    if (call_) call_();
  }

 private:
  Clock& clock_;
  Atomic<bool> armed_{true};
  Atomic<Duration::rep> rung_at_{never.time_since_epoch().count()};
  Mutex mutex_;
  std::function<void()> call_;
};

}  // namespace microbatch::inline v0_1::detail
