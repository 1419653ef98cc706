#pragma once

#include <algorithm>
#include <cstddef>

#include "core/backlog.hpp"
#include "delivery/settlement.hpp"
#include "queue/lanes.hpp"

namespace microbatch::inline v0_1::detail {

/// How items that are in no window leave a stream from the front: to make room, because they have
/// waited too long, or because nobody will claim them.
///
/// Threads: whoever holds the stream's token.
template <class T>
class Eviction {
 public:
  Eviction(Lanes<T>& lanes, Backlog<T>& backlog, Settlement<T>& settlement) noexcept
      : lanes_(lanes), backlog_(backlog), settlement_(settlement) {}

  /// Drops the oldest item, if it was stamped before that; false if not. Without stamps the oldest
  /// of `own`, if that has items, is as good as any.
  bool drop_oldest(Lane<T>* own, DropCause cause, TimePoint stamped_before) {
    lanes_.refresh();
    const auto overdue = [&](ItemSlots<T>& slots, std::size_t slot) {
      return slots.stamp(slot) < stamped_before;
    };
    const auto drop = [&](ItemSlots<T>& slots, std::size_t slot) {
      settlement_.settle(slots, slot, 1, Outcome::dropped, nullptr, cause);
    };
    if (ItemBuffer<T>* oldest = backlog_.oldest()) {
      const std::size_t slot = oldest->slot(0);
      if (!overdue(oldest->slots(), slot)) return false;
      drop(oldest->slots(), slot);
      oldest->slots().destroy(slot, 1);
      backlog_.forget_oldest(*oldest);
      return true;
    }
    Lane<T>* lane = lanes_.oldest(own);
    if (lane == nullptr) return false;
    auto [slots, slot] = lane->reader().front();
    if (!overdue(slots, slot)) return false;
    drop(slots, slot);
    lanes_.pop(*lane);
    return true;
  }

  /// Drops what has waited for `age` or longer. Returns when the next item will have, or never.
  TimePoint expire(TimePoint now, Duration age) {
    const TimePoint overdue = now < TimePoint::min() + age ? TimePoint::min() : now - age;
    while (drop_oldest(nullptr, DropCause::expired, later(overdue, Duration{1}))) {
    }
    const TimePoint oldest = oldest_stamp();
    return oldest == never ? never : later(oldest, age);
  }

  void drop_all(DropCause cause) {
    lanes_.refresh();
    while (drop_oldest(nullptr, cause, never)) {
    }
  }

  /// Arrival of the oldest item; never without one. On stamped streams.
  [[nodiscard]] TimePoint oldest_stamp() {
    if (ItemBuffer<T>* buffer = backlog_.oldest()) return buffer->slots().stamp(buffer->slot(0));
    if (Lane<T>* lane = lanes_.oldest(nullptr)) return lane->reader().front_stamp();
    return never;
  }

 private:
  Lanes<T>& lanes_;
  Backlog<T>& backlog_;
  Settlement<T>& settlement_;
};

}  // namespace microbatch::inline v0_1::detail
