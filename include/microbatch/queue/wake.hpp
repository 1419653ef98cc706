#pragma once

#include <functional>
#include <mutex>

#include "../core/atomic.hpp"

namespace microbatch::detail {

/// Where producers ring when the engine should be stepped. Between two arms it rings once, however
/// many lanes reach their share.
///
/// Threads: any. The function is called with a lock held that clear() takes: once clear() has
/// returned, nobody is inside the function.
class Wake {
 public:
  void on_wake(std::function<void()> f) {
    std::lock_guard lock(mutex_);
    call_ = std::move(f);
  }
  void clear() noexcept {
    std::lock_guard lock(mutex_);
    call_ = nullptr;
  }

  void arm() noexcept { armed_.store(true, std::memory_order_relaxed); }
  void disarm() noexcept { armed_.store(false, std::memory_order_relaxed); }

  /// By a producer whose lane reached its share.
  void ring() {
    // relaxed: only one of several ringers need go on; the mutex orders what the callee sees.
    if (armed_.exchange(false, std::memory_order_relaxed)) ring_always();
  }
  /// By those who cannot know whether the engine is armed.
  void ring_always() {
    std::lock_guard lock(mutex_);
    if (call_) call_();
  }

 private:
  Atomic<bool> armed_{true};
  Mutex mutex_;
  std::function<void()> call_;
};

}  // namespace microbatch::detail
