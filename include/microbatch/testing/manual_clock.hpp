#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <mutex>
#include <utility>

#include "../core/clock.hpp"
#include "../core/errors.hpp"

namespace microbatch::inline v0_1::testing {

/// A clock that stands still until a test moves it. Whoever waits for it is told.
///
/// Threads: any.
class ManualClock final : public Clock {
 public:
  explicit ManualClock(TimePoint start = TimePoint(std::chrono::seconds(1000))) noexcept
      : now_(start.time_since_epoch().count()) {}

  [[nodiscard]] TimePoint now() const noexcept override {
    return TimePoint(Duration(now_.load(std::memory_order_seq_cst)));
  }
  [[nodiscard]] bool runs_by_itself() const noexcept override { return false; }

  void advance(Duration by) { set(detail::later(now(), by)); }
  /// Forward only: the library's time is steady.
  void set(TimePoint to) {
    if (to < now()) throw UsageError("ManualClock::set: time does not go back");
    now_.store(to.time_since_epoch().count(), std::memory_order_seq_cst);
    std::lock_guard lock(mutex_);
    for (auto& [key, moved] : watchers_) moved();
  }

  void subscribe(const void* key, std::function<void()> moved) override {
    std::lock_guard lock(mutex_);
    watchers_[key] = std::move(moved);
  }
  void unsubscribe(const void* key) noexcept override {
    std::lock_guard lock(mutex_);
    watchers_.erase(key);
  }

 private:
  std::atomic<Duration::rep> now_;
  std::mutex mutex_;
  std::map<const void*, std::function<void()>> watchers_;
};

}  // namespace microbatch::inline v0_1::testing
