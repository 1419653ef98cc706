#pragma once

#include <algorithm>
#include <cstdint>

#include "../core/pending.hpp"
#include "../queue/lanes.hpp"

namespace microbatch::inline v0_1::detail {

/// What flush() asked for and how far it has come: first everything that was published at the call
/// is swept, then it leaves in windows, then those windows settle. Later items are not waited for.
///
/// Threads: whoever holds the token.
template <class T>
class FlushMarks {
 public:
  explicit FlushMarks(Lanes<T>& lanes) noexcept : lanes_(lanes) {}

  /// A flush of what is in now; the answer is for settled().
  std::uint64_t ask(const Pending<T>& pending) {
    lanes_.mark();
    until_ = std::max(until_, pending.end_position());
    return ++asked_;
  }

  [[nodiscard]] bool active() const noexcept { return formed_ != asked_; }
  /// Not all of it has been swept.
  [[nodiscard]] bool sweeping() const noexcept { return active() && !lanes_.passed_marks(); }
  /// What is pending after a sweep while sweeping(), or with new positions, may belong to the
  /// flush.
  void extend(const Pending<T>& pending) noexcept { until_ = pending.end_position(); }
  /// Something that belongs to the flush is still pending.
  [[nodiscard]] bool some_left(const Pending<T>& pending) const noexcept {
    return pending.first_position() < until_ || pending.total() > pending.size();
  }
  /// All of it is on its way, in windows numbered below `next_sequence`.
  void formed(std::uint64_t next_sequence) noexcept {
    formed_ = asked_;
    below_ = next_sequence;
  }

  /// One flush() call waiting for its windows.
  class Wish {
   public:
    Wish(const FlushMarks& marks, std::uint64_t asked) noexcept : marks_(marks), asked_(asked) {}
    [[nodiscard]] bool settled(std::uint64_t settled_below) noexcept {
      if (marks_.formed_ < asked_) return false;
      below_ = std::min(below_, marks_.below_);
      return settled_below >= below_;
    }

   private:
    const FlushMarks& marks_;
    const std::uint64_t asked_;
    std::uint64_t below_ = ~std::uint64_t{0};
  };

 private:
  Lanes<T>& lanes_;
  std::uint64_t asked_ = 0;   // flushes
  std::uint64_t formed_ = 0;  // flushes whose items have left
  std::uint64_t until_ = 0;   // position
  std::uint64_t below_ = 0;   // sequence
};

}  // namespace microbatch::inline v0_1::detail
