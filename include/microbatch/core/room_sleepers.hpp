#pragma once

#include <atomic>
#include <cstddef>
#include <limits>
#include <mutex>

namespace microbatch::inline v0_1::detail {

/// One who waits for room without a thread.
class RoomSleeper {
 public:
  RoomSleeper(const RoomSleeper&) = delete;
  RoomSleeper& operator=(const RoomSleeper&) = delete;

  /// There may be room: called once, on the thread that made it, without locks.
  virtual void wake() = 0;

 protected:
  RoomSleeper() = default;
  virtual ~RoomSleeper() = default;

 private:
  friend class RoomSleepers;
  RoomSleeper* next_ = nullptr;
};

/// Those who sleep until there is room in a stream, first come, first woken.
///
/// Threads: any.
class RoomSleepers {
 public:
  static constexpr std::size_t all = std::numeric_limits<std::size_t>::max();

  void add(RoomSleeper& sleeper) {
    std::lock_guard lock(mutex_);
    sleeper.next_ = nullptr;
    (last_ == nullptr ? first_ : last_->next_) = &sleeper;
    last_ = &sleeper;
    // seq_cst: a sleeper adds itself, then looks for room; whoever gives room then looks for
    // sleepers: one of the two sees the other.
    any_.store(true, std::memory_order_seq_cst);
  }
  /// False when it has been, or is just being woken.
  bool remove(const RoomSleeper& sleeper) {
    std::lock_guard lock(mutex_);
    RoomSleeper* before = nullptr;
    for (RoomSleeper* s = first_; s != nullptr; before = s, s = s->next_) {
      if (s != &sleeper) continue;
      (before == nullptr ? first_ : before->next_) = s->next_;
      if (last_ == s) last_ = before;
      any_.store(first_ != nullptr, std::memory_order_seq_cst);
      return true;
    }
    return false;
  }
  [[nodiscard]] bool any() const noexcept { return any_.load(std::memory_order_seq_cst); }

  /// The first n of those who sleep now; one that goes to sleep again waits for the next call.
  void wake(std::size_t n) {
    RoomSleeper* woken = nullptr;
    {
      std::lock_guard lock(mutex_);
      woken = first_;
      RoomSleeper* end = nullptr;
      for (; n > 0 && first_ != nullptr; --n) {
        end = first_;
        first_ = first_->next_;
      }
      if (end == nullptr) return;
      end->next_ = nullptr;
      if (first_ == nullptr) last_ = nullptr;
      any_.store(first_ != nullptr, std::memory_order_seq_cst);
    }
    while (woken != nullptr) {
      RoomSleeper* next = woken->next_;  // first: it may be gone after wake()
      woken->wake();
      woken = next;
    }
  }

 private:
  std::mutex mutex_;
  RoomSleeper* first_ = nullptr;
  RoomSleeper* last_ = nullptr;
  std::atomic<bool> any_{false};
};

}  // namespace microbatch::inline v0_1::detail
