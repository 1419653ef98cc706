#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "backlog.hpp"
#include "clock.hpp"
#include "errors.hpp"

namespace microbatch::inline v0_1 {

inline constexpr std::size_t npos = std::numeric_limits<std::size_t>::max();

/// The items that were swept from the lanes and are in no window yet, as emitters see them: a front
/// part in order of arrival, and buckets into which an emitter may route items by key.
///
/// Positions count every item that ever entered the front and are never reused, so an emitter keeps
/// a cursor and sums by position and never scans an item twice; nobody has to tell it what left.
/// Items that stay behind when others are picked from their midst take new positions, at the end.
///
/// Threads: only inside the emitter's own functions.
template <class T>
class Pending {
 public:
  /// Items in the front part.
  [[nodiscard]] std::size_t size() const noexcept { return front_->size(); }
  [[nodiscard]] bool empty() const noexcept { return front_->empty(); }
  /// Items in the front part and in the buckets.
  [[nodiscard]] std::size_t total() const noexcept {
    return is_part() ? size() : backlog_->total();
  }

  [[nodiscard]] std::uint64_t first_position() const noexcept { return *first_; }
  [[nodiscard]] std::uint64_t end_position() const noexcept { return *first_ + size(); }

  [[nodiscard]] std::span<T> items() const noexcept { return {front_->data(), size()}; }
  /// The i-th from the front.
  [[nodiscard]] T& operator[](std::size_t i) const noexcept { return (*front_)[i]; }

  /// Arrival stamp of the i-th item; TimePoint{} on a stream without stamps.
  [[nodiscard]] TimePoint stamp(std::size_t i) const noexcept { return stamp_in(*front_, i); }
  /// Where a source read the i-th item; offset -1 where it is not from a source.
  [[nodiscard]] Origin origin(std::size_t i) const noexcept {
    return front_->slots().origin(front_->slot(i));
  }
  /// The weight that the stream stored for the i-th item; 0 on a stream without a weight function.
  [[nodiscard]] std::uint64_t weight(std::size_t i) const noexcept {
    return front_->slots().weight(front_->slot(i));
  }

  /// Whatever arrived before this time is here or gone; what is still to come arrived later.
  /// Advances only as far as the emitter's Readiness::before has asked for.
  [[nodiscard]] TimePoint complete_before() const noexcept {
    return is_part() ? complete_before_ : backlog_->complete_before;
  }
  /// The earliest stamp among the items that still wait in the lanes, or `never`.
  [[nodiscard]] TimePoint next_arrival() const noexcept {
    return is_part() ? never : backlog_->next_arrival;
  }
  /// When the first item after an empty spell arrived: exactly where the engine slept until then,
  /// otherwise the time of this turn.
  [[nodiscard]] TimePoint noticed_at() const noexcept { return backlog_->noticed_at; }
  [[nodiscard]] bool stamped() const noexcept { return backlog_->stamped; }
  /// How many more windows could be handed over right now.
  [[nodiscard]] std::size_t free_workers() const noexcept { return backlog_->free_workers; }

  /// What sources say between the items, in order: each stands before the item at its position.
  [[nodiscard]] std::span<const detail::PlacedMark> marks() const noexcept {
    return backlog_->marks;
  }
  void forget_marks(std::size_t n) {
    backlog_->marks.erase(backlog_->marks.begin(),
                          backlog_->marks.begin() + static_cast<std::ptrdiff_t>(n));
  }

  // Buckets, for emitters that key, sort or pick. A bucket keeps the order in which it was filled.

  [[nodiscard]] BucketId open_bucket() { return backlog_->open_bucket(); }
  /// The bucket must be empty; its id may be given out again.
  void close_bucket(BucketId id) { backlog_->close_bucket(id); }
  /// Moves the first item of the front part to the end of a bucket; or the first ones, the i-th to
  /// the end of to[i].
  void route_front(BucketId id) { backlog_->route_front({&id, 1}); }
  void route_front(std::span<const BucketId> to) { backlog_->route_front(to); }
  /// Moves everything in one bucket to the end of another.
  void merge(BucketId from, BucketId into) { backlog_->merge(from, into); }

  [[nodiscard]] std::size_t size(BucketId id) const noexcept { return backlog_->bucket(id).size(); }
  [[nodiscard]] std::span<T> items(BucketId id) const noexcept {
    return {backlog_->bucket(id).data(), size(id)};
  }
  [[nodiscard]] TimePoint stamp(BucketId id, std::size_t i) const noexcept {
    return stamp_in(backlog_->bucket(id), i);
  }

  /// One bucket as if it were all there is: for an emitter that asks another one about it.
  /// Its positions count what entered the bucket since it was opened; everything that arrived
  /// before `complete` counts as seen. Valid until a bucket is opened.
  [[nodiscard]] Pending part(BucketId id, TimePoint complete) const {
    Pending view(*this);
    view.front_ = &backlog_->bucket(id);
    view.first_ = &backlog_->gone[static_cast<std::size_t>(id)];
    view.complete_before_ = complete;
    return view;
  }

  /// For the engine and for tests of emitters.
  explicit Pending(detail::Backlog<T>& backlog) noexcept
      : backlog_(&backlog), front_(&backlog.front), first_(&backlog.first) {}

 private:
  [[nodiscard]] bool is_part() const noexcept { return front_ != &backlog_->front; }
  [[nodiscard]] static TimePoint stamp_in(detail::ItemBuffer<T>& buffer, std::size_t i) noexcept {
    return buffer.slots().stamp(buffer.slot(i));
  }

  detail::Backlog<T>* backlog_;
  detail::ItemBuffer<T>* front_;
  const std::uint64_t* first_;
  TimePoint complete_before_ = TimePoint::min();
};

}  // namespace microbatch::inline v0_1
