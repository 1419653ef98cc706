#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "lane.hpp"

namespace microbatch::inline v0_1::detail {

/// Tells a stream's lanes when to ring a sleeping engine: once per window, not once per item.
///
/// Lanes that were active share what is missing, an idle one reports its first item. The shares,
/// each less one, add up to less than what is missing, so no total of `wanted` is reached in
/// silence.
///
/// Threads: whoever holds the stream's token.
template <class T>
class LaneAlarm {
 public:
  using View = std::span<Lane<T>* const>;

  /// All memory for n lanes.
  void reserve(std::size_t n) { seen_.resize(n); }

  /// `taken` of what the lanes published was taken out of them. False when `wanted` items wait in
  /// them already. Follow with a heavy barrier and asleep().
  [[nodiscard]] bool arm(View lanes, std::uint64_t taken, std::uint64_t wanted) noexcept {
    std::uint64_t published = 0;
    std::uint64_t active = 0;
    for (std::size_t i = 0; i < lanes.size(); ++i) {
      Seen& seen = seen_[i];
      seen.tail = lanes[i]->accepted();
      published += seen.tail;
      if (seen.tail != seen.before) ++active;
    }
    if (published - taken >= wanted) return false;
    const std::uint64_t missing = wanted - (published - taken);
    const std::uint64_t share = 1 + (missing - 1) / std::max<std::uint64_t>(1, active);
    for (std::size_t i = 0; i < lanes.size(); ++i) {
      Seen& seen = seen_[i];
      seen.armed = seen.tail + (seen.tail != seen.before ? share : 1);
      lanes[i]->arm(seen.armed);
    }
    return true;
  }

  /// After arm() and the barrier: nobody was armed too late, and what is waiting is less than
  /// `wanted`. (A lane that passed its share before it could see it has not rung.)
  [[nodiscard]] bool asleep(View lanes, std::uint64_t taken, std::uint64_t wanted) const noexcept {
    std::uint64_t published = 0;
    for (std::size_t i = 0; i < lanes.size(); ++i) {
      const std::uint64_t tail = lanes[i]->accepted();
      if (tail >= seen_[i].armed) return false;
      published += tail;
    }
    return published - taken < wanted;
  }

  /// The engine sleeps for `wanted` now. That is less each time, until a window has left: then a
  /// round ends. Active is whoever came in this round or in the last, for a ring that is answered
  /// at once sees one lane move.
  void mark_round(std::uint64_t wanted) noexcept {
    if (wanted >= slept_for_)
      for (Seen& seen : seen_) {
        seen.before = seen.recent;
        seen.recent = seen.tail;
      }
    slept_for_ = wanted;
  }

 private:
  /// Of a lane: what was published when ...
  struct Seen {
    std::uint64_t before = 0;                // ... the last round began
    std::uint64_t recent = 0;                // ... this one began
    std::uint64_t tail = 0;                  // ... arm() was called last
    std::uint64_t armed = LaneGate::nobody;  // it is to ring
  };
  std::vector<Seen> seen_;
  std::uint64_t slept_for_ = 0;  // what was wanted at the last mark_round()
};

}  // namespace microbatch::inline v0_1::detail
