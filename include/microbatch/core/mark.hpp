#pragma once

#include <cstdint>

#include "event_time.hpp"

namespace microbatch::inline v0_1 {

/// What a source says between two items, for emitters over event time. It cannot overtake the items
/// before it.
struct Mark {
  enum class Kind : std::uint8_t {
    idle,     ///< this partition brings nothing for now: do not wait for it
    time,     ///< everything of this partition before `time` has come
    awaited,  ///< this partition will bring items of any time: wait for its first
    ended,    ///< this partition brings nothing any more: forget it
  };
  Kind kind = Kind::idle;
  std::uint32_t partition = 0;
  EventTime time{};
};

namespace detail {

/// A mark among the swept items: it stands before the item at this position.
struct PlacedMark {
  std::uint64_t position;
  Mark mark;
};

}  // namespace detail
}  // namespace microbatch::inline v0_1
