#pragma once

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>

#include "atomic.hpp"
#include "cache_line.hpp"
#include "clock.hpp"

namespace microbatch::inline v0_1::detail {

/// The stream's capacity: what may still be accepted, in items and (where there is a weight
/// function) in bytes. Lanes take items by the chunk, settlement gives them back by the window.
///
/// Threads: any. take() never waits.
class Room {
 public:
  Room(std::int64_t items, std::uint64_t max_bytes) noexcept
      : items_(items),
        max_bytes_(max_bytes),
        ample_(std::max<std::int64_t>(1, std::min<std::int64_t>(items / 2, 1 << 16))) {}

  /// Up to `wanted` items; 0 when there is no room at all.
  [[nodiscard]] std::int64_t take(std::int64_t wanted) noexcept {
    // seq_cst: with give()'s counters it forms the handshake of wait_until; see there.
    std::int64_t there = items_.load(std::memory_order_seq_cst);
    while (there > 0) {
      const std::int64_t got = std::min(there, wanted);
      if (items_.compare_exchange_weak(there, there - got, std::memory_order_seq_cst)) return got;
    }
    return 0;
  }
  [[nodiscard]] std::int64_t left() const noexcept {
    return items_.load(std::memory_order_relaxed);
  }

  [[nodiscard]] bool take_bytes(std::uint64_t n) noexcept {
    std::uint64_t used = bytes_.load(std::memory_order_seq_cst);
    while (n <= max_bytes_ - used) {
      if (bytes_.compare_exchange_weak(used, used + n, std::memory_order_seq_cst)) return true;
    }
    return false;
  }
  [[nodiscard]] std::uint64_t max_bytes() const noexcept { return max_bytes_; }
  [[nodiscard]] std::uint64_t bytes() const noexcept {
    return bytes_.load(std::memory_order_relaxed);
  }

  /// Gives back without waking anybody; follow with notify().
  void give(std::int64_t items, std::uint64_t bytes) noexcept {
    items_.fetch_add(items, std::memory_order_seq_cst);
    if (bytes != 0) bytes_.fetch_sub(bytes, std::memory_order_seq_cst);
  }

  /// Wakes those who wait for room, if there are any.
  void notify() noexcept {
    // seq_cst: a waiter counts itself before it looks for room, and we give before we look for
    // waiters; in the single order of these four, one of the two sees the other.
    if (waiters_.load(std::memory_order_seq_cst) == 0) return;
    {
      std::lock_guard lock(mutex_);
      ++changes_;
    }
    changed_.notify_all();
  }

  /// The same where it pays: a quarter of the room, so that they are not woken for every window.
  /// Those left asleep are woken by notify(), when the engine finds nothing more to do.
  void notify_if_ample() noexcept {
    if (left() >= ample_ || max_bytes_ != unlimited) notify();
  }

  [[nodiscard]] bool has_waiters() const noexcept {
    return waiters_.load(std::memory_order_seq_cst) != 0;
  }

  /// Moves whenever those who wait were told to look again; only while somebody waits.
  [[nodiscard]] std::uint64_t changes() {
    std::lock_guard lock(mutex_);
    return changes_;
  }

  /// Somebody waits, and there is still no room for them.
  [[nodiscard]] bool is_short() {
    if (!has_waiters()) return false;
    if (left() <= 0) return true;
    std::lock_guard lock(mutex_);
    return wanted_bytes_ > 0 && wanted_bytes_ > max_bytes_ - bytes();
  }

  /// One who waits: between the constructor and until() it looks for
  /// room once more, so that no notify() in between is missed.
  class Waiter {
   public:
    Waiter(Room& room, std::uint64_t weight) : room_(room) {
      std::lock_guard lock(room_.mutex_);
      if (room_.waiters_.load(std::memory_order_relaxed) == 0) room_.wanted_bytes_ = 0;
      room_.wanted_bytes_ = std::max(room_.wanted_bytes_, weight);
      room_.waiters_.fetch_add(1, std::memory_order_seq_cst);
      seen_ = room_.changes_;
    }
    Waiter(const Waiter&) = delete;
    Waiter& operator=(const Waiter&) = delete;
    ~Waiter() { room_.waiters_.fetch_sub(1, std::memory_order_seq_cst); }

    /// False when the deadline passed without a change.
    [[nodiscard]] bool until(TimePoint deadline) {
      std::unique_lock lock(room_.mutex_);
      const auto moved = [&] { return room_.changes_ != seen_; };
      if (deadline == never) {
        room_.changed_.wait(lock, moved);
      } else if (!room_.changed_.wait_until(lock, deadline, moved)) {
        return false;
      }
      seen_ = room_.changes_;
      return true;
    }

   private:
    Room& room_;
    std::uint64_t seen_ = 0;
  };

 private:
  alignas(cache_line) Atomic<std::int64_t> items_;
  Atomic<std::uint64_t> bytes_{0};
  static constexpr std::uint64_t unlimited = ~std::uint64_t{0};
  const std::uint64_t max_bytes_;
  const std::int64_t ample_;
  alignas(cache_line) Atomic<std::int64_t> waiters_{0};
  Mutex mutex_;
  ConditionVariable changed_;
  std::uint64_t changes_ = 0;
  std::uint64_t wanted_bytes_ = 0;  // the most that any of the present waiters wants
};

}  // namespace microbatch::inline v0_1::detail
