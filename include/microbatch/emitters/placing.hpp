#pragma once

#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <optional>
#include <utility>

#include "../concepts/emitter.hpp"
#include "by_item.hpp"
#include "leaving.hpp"
#include "watermark.hpp"

namespace microbatch::inline v0_1::detail {

/// Where an item that is in no proper window goes.
enum class Side : std::uint8_t { too_late, unplaced };

/// What all emitters over event time share: each item's time and key, the watermark that it meets,
/// and the side outputs for those that have none, or come too late.
///
/// Items are judged one by one in the order of their arrival, so the verdict does not depend on how
/// they were swept.
template <class T, class Timestamp, class KeyFn>
class Placing {
 public:
  using K = key_of_t<KeyFn, T>;

  Placing(Timestamp timestamp, KeyFn key, const EventTimeOptions& options)
      : watermark(options), timestamp_(std::move(timestamp)), key_(std::move(key)) {
    static_assert(TimestampOf<Timestamp, T>,
                  "microbatch: an event-time emitter's timestamp function takes a const item and "
                  "returns a std::chrono::sys_time, a duration since 1970, or an optional of one");
  }

  /// Of an item: when it happened. None, with the error noted, where that cannot be told.
  [[nodiscard]] std::optional<EventTime> time_of(const T& item) {
    try {
      return to_event_time(std::invoke(timestamp_, item));
    } catch (...) {
      note(std::current_exception());
      return {};
    }
  }
  /// f(key) for an item's key; false, with the error noted, where its function or hash throws.
  template <class F>
  bool with_key(const T& item, F&& f) {
    if constexpr (std::same_as<KeyFn, Unkeyed>) {
      f(NoKey{});
    } else {
      try {
        f(std::invoke(key_, item));
      } catch (...) {
        note(std::current_exception());
        return false;
      }
    }
    return true;
  }
  /// The marks that stand before the i-th item of the front part; true if there were any.
  bool heed_marks(Pending<T>& pending, std::size_t i, TimePoint now) {
    std::size_t n = 0;
    for (const PlacedMark& placed : pending.marks()) {
      if (placed.position > pending.first_position() + i) break;
      ++n;
      if (placed.mark.kind == Mark::Kind::idle)
        watermark.mark_idle(placed.mark.partition);
      else if (placed.mark.kind == Mark::Kind::awaited)
        watermark.mark_awaited(placed.mark.partition);
      else if (placed.mark.kind == Mark::Kind::ended)
        watermark.mark_ended(placed.mark.partition);
      else if (placed.mark.time >= EventTime{} && placed.mark.time <= latest_event)
        watermark.mark_time(placed.mark.partition, placed.mark.time, now);
    }
    if (n > 0) pending.forget_marks(n);
    return n > 0;
  }

  void note(std::exception_ptr error) {
    if (!error_) error_ = std::move(error);
  }
  [[nodiscard]] std::exception_ptr take_error() noexcept { return std::exchange(error_, nullptr); }

  [[nodiscard]] BucketId side(Pending<T>& pending, Side which) {
    auto& bucket = sides_[static_cast<std::size_t>(which)];
    if (!bucket) bucket = pending.open_bucket();
    return *bucket;
  }
  /// A side output that holds something leaves; its bucket is given away.
  [[nodiscard]] bool leave_side(const Pending<T>& pending, Leaving<K>& leaving) {
    for (const Side which : {Side::too_late, Side::unplaced}) {
      auto& bucket = sides_[static_cast<std::size_t>(which)];
      if (!bucket || pending.size(*bucket) == 0) continue;
      leaving.reason = which == Side::too_late ? Reason::too_late : Reason::unplaced;
      leaving.owned.push_back(*std::exchange(bucket, std::nullopt));
      return true;
    }
    return false;
  }

  Watermark watermark;

 private:
  Timestamp timestamp_;
  KeyFn key_;
  std::optional<BucketId> sides_[2];
  std::exception_ptr error_;
};

}  // namespace microbatch::inline v0_1::detail
