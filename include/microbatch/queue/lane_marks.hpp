#pragma once

#include <algorithm>
#include <cstdint>
#include <mutex>
#include <vector>

#include "../core/atomic.hpp"
#include "../core/mark.hpp"

namespace microbatch::inline v0_1::detail {

/// The marks that wait beside the lanes, each behind the items that its lane held when it was put.
///
/// Threads: put() by the lane's producer, the rest by whoever holds the token.
class LaneMarks {
 public:
  void put(const void* lane, std::uint64_t position, const Mark& mark) {
    std::lock_guard lock(mutex_);
    waiting_.push_back({lane, position, mark});
    // relaxed: the lane's next publish (release) carries it to whoever sweeps that item (acquire);
    // without one, the ring does.
    any_.store(true, std::memory_order_relaxed);
  }
  [[nodiscard]] bool any() const noexcept { return any_.load(std::memory_order_relaxed); }

  /// The items [from, to) of a lane have just been appended at position `at`: into their midst go
  /// the marks between them.
  void place(const void* lane, std::uint64_t from, std::uint64_t to, std::uint64_t at,
             std::vector<PlacedMark>& into) {
    std::lock_guard lock(mutex_);
    std::erase_if(waiting_, [&](const Waiting& w) {
      if (w.lane != lane || w.position > to) return false;
      into.push_back({at + (std::max(w.position, from) - from), w.mark});
      return true;
    });
    any_.store(!waiting_.empty(), std::memory_order_relaxed);
  }

 private:
  struct Waiting {
    const void* lane;
    std::uint64_t position;
    Mark mark;
  };
  Mutex mutex_;
  std::vector<Waiting> waiting_;  // of each lane in order
  Atomic<bool> any_{false};
};

}  // namespace microbatch::inline v0_1::detail
