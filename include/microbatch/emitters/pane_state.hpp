#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "event_windows.hpp"
#include "leaving.hpp"
#include "pane_shape.hpp"
#include "placing.hpp"

namespace microbatch::inline v0_1::detail {

/// Windows over event time: items are routed into buckets by pane and key, and a window leaves, key
/// by key, once the watermark has passed its end. Nothing is done per step for panes or keys that
/// are not concerned.
template <class T, class Timestamp, class KeyFn>
class PaneState {
 public:
  using K = key_of_t<KeyFn, T>;

  PaneState(const PaneShape& shape, const Timestamp& timestamp, const KeyFn& key,
            const EventTimeOptions& options)
      : shape_(shape), pane_(shape.pane()), placing_(timestamp, key, options) {}

  Readiness window_ready(Pending<T>& pending, TimePoint now) {
    exit_.tidy(pending);
    take_in(pending, now);
    placing_.watermark.pass(now);
    fire(pending);
    leave_late();
    const bool ready = choose(pending);
    return {.ready = ready,
            .reason = ready ? exit_.reason() : Reason::watermark,
            .limit = ready ? 0 : routed_at_once,
            .at_items = pending.total() + 1,
            .at = next_end_ == EventTime::max() ? never : placing_.watermark.next_pass(next_end_),
            .error = placing_.take_error(),
            .even_if_empty = ready && exit_.window().takes_nothing()};
  }

  /// The next window leaves as it is. What comes later and would have been in it leaves by itself,
  /// with the bounds of its last window.
  Readiness flush(Pending<T>& pending) {
    if (!exit_.chosen()) {
      if (!parts_.empty())  // older than every pane
        leave_part(Reason::flush);
      else if (!panes_.empty())
        fire_next(pending, Reason::flush);
      find_next_end();
      choose(pending);
    }
    return {.ready = exit_.chosen(),
            .even_if_empty = exit_.chosen() && exit_.window().takes_nothing()};
  }

  [[nodiscard]] Exit<T, K>& exit() noexcept { return exit_; }

 private:
  /// A window time that has come, for all its keys.
  struct Group {
    Reason reason;
    EventBounds bounds;
    std::unique_ptr<Pane<K>> pane;          // it leaves whole, key by key,
    std::uint32_t cursor = 0;               // from here on; or
    std::vector<Leaving<K>> overlapping{};  // these leave
    bool closing = false;                   // or nothing: see PaneShape::closings
  };

  // Items come.

  void take_in(Pending<T>& pending, TimePoint now) {
    to_.clear();
    const auto route = [&] {
      pending.route_front(to_);
      to_.clear();
    };
    const auto heed_marks = [&] {
      if (pending.marks().empty() || !placing_.heed_marks(pending, to_.size(), now)) return;
      route();
      fire(pending);
    };
    for (; heed_marks(), to_.size() < pending.size();) {
      std::optional<EventTime> t = placing_.time_of(std::as_const(pending[to_.size()]));
      if (here_ != nullptr && pending.marks().empty()) {
        t = follow(pending, t, now);
        if (to_.size() == pending.size()) break;
      }
      to_.push_back(place(pending, to_.size(), t, now));
      if (placing_.watermark.now() >= next_end_) {  // what follows meets another watermark
        route();
        fire(pending);
      }
    }
    route();
  }

  /// Items that go into the pane of the one before, and move the watermark past no window's end:
  /// all in one go. `t` is the time of the first of them; returns that of the one behind them.
  std::optional<EventTime> follow(Pending<T>& pending, std::optional<EventTime> t, TimePoint now) {
    Pane<K>& pane = *here_;
    const std::size_t first = to_.size();
    const std::uint32_t partition = pending.origin(first).partition;
    const EventTime begin = pane.bounds.begin;
    const EventTime end =
        std::min(pane.bounds.end, placing_.watermark.free_until(partition, next_end_));
    EventTime newest = EventTime::min();
    std::size_t i = first;
    while (t && *t >= begin && *t < end && pending.origin(i).partition == partition) {
      newest = std::max(newest, *t);
      if constexpr (!std::same_as<KeyFn, Unkeyed>) to_.push_back(place_in(pending, i, pane));
      if (++i == pending.size()) break;
      t = placing_.time_of(std::as_const(pending[i]));
    }
    if (i == first) return t;
    if constexpr (std::same_as<KeyFn, Unkeyed>) to_.insert(to_.end(), i - first, pane.buckets[0]);
    placing_.watermark.reach(partition, newest, now);
    return t;
  }
  BucketId place_in(Pending<T>& pending, std::size_t i, Pane<K>& pane) {
    BucketId bucket{};
    const bool has_key = placing_.with_key(std::as_const(pending[i]), [&](auto&& key) {
      bucket = bucket_in(pending, pane, std::forward<decltype(key)>(key));
    });
    return has_key ? bucket : placing_.side(pending, Side::unplaced);
  }

  /// The bucket for an item of time t, by the watermark that it meets; then it moves the watermark.
  BucketId place(Pending<T>& pending, std::size_t i, std::optional<EventTime> t, TimePoint now) {
    if (!t) return placing_.side(pending, Side::unplaced);
    const EventTime met = placing_.watermark.now();
    if (!placing_.watermark.observe(pending.origin(i).partition, *t, now))
      return placing_.side(pending, Side::unplaced);
    BucketId bucket{};
    const bool has_key = placing_.with_key(std::as_const(pending[i]), [&](auto&& key) {
      bucket = bucket_for(pending, *t, met, std::forward<decltype(key)>(key));
    });
    return has_key ? bucket : placing_.side(pending, Side::unplaced);
  }
  template <class Q>
  BucketId bucket_for(Pending<T>& pending, EventTime t, EventTime met, Q&& key) {
    Pane<K>* pane = here_;
    if (pane == nullptr || t < pane->bounds.begin || t >= pane->bounds.end) {
      const EventBounds bounds = pane_with(t);
      const EventTime last_end = shape_.last_window(bounds.begin, origin()) + shape_.size;
      if (met >= last_end) {
        if (met >= shape_.wanted_until(bounds.begin, origin()) +
                       placing_.watermark.options().allowed_lateness)
          return placing_.side(pending, Side::too_late);
        const BucketId bucket =
            bucket_in(pending, store_.at(late_, bounds, last_end), std::forward<Q>(key));
        if (shape_.closings > 0) {
          late_met_ = shape_.whole.last_over(met, origin());
          // Windows that still hold it are told when they are over, also where nothing follows.
          not_before_ = std::max(not_before_, first_window(met));
          tell_closings_of(bounds);
        }
        find_next_end();
        return bucket;
      }
      // Windows that were over before they had an item have passed, too.
      if (met != EventTime::min()) not_before_ = std::max(not_before_, first_window(met));
      pane = &store_.at(last_end - shape_.size < not_before_ ? parts_ : panes_, bounds, last_end);
      find_next_end();
    }
    here_ = nullptr;
    const BucketId bucket = bucket_in(pending, *pane, std::forward<Q>(key));
    here_ = pane;
    return bucket;
  }
  template <class Q>
  static BucketId bucket_in(Pending<T>& pending, Pane<K>& pane, Q&& key) {
    return pane.buckets
        [pane.buckets.insert(std::forward<Q>(key), [&] { return pending.open_bucket(); }).first];
  }

  [[nodiscard]] EventTime origin() const noexcept { return placing_.watermark.options().origin; }
  [[nodiscard]] EventBounds pane_with(EventTime t) const noexcept {
    const EventTime begin = origin() + floor_div(t - origin(), pane_) * pane_;
    return {begin, begin + pane_};
  }
  [[nodiscard]] EventTime first_window(EventTime t) const noexcept {
    return shape_.first_window(t, origin());
  }

  // Windows leave.

  /// Begin of the next window that has anything in it.
  [[nodiscard]] EventTime next_window() const noexcept {
    EventTime window = EventTime::max();
    if (!panes_.empty()) window = std::max(not_before_, first_window(panes_.front()->bounds.begin));
    if (closings_until_ > not_before_) window = std::min(window, not_before_);
    return window;
  }
  void find_next_end() noexcept {
    const EventTime window = next_window();
    next_end_ = window == EventTime::max() ? window : window + shape_.size;
    if (!parts_.empty()) next_end_ = std::min(next_end_, parts_.front()->last_end);
    if (late_panes_wait()) next_end_ = std::min(next_end_, late_met_ + shape_.whole.hop);
  }
  [[nodiscard]] bool late_panes_wait() const noexcept {
    return shape_.closings > 0 && !late_.empty();
  }

  /// Every window that the watermark has passed, as it stands now.
  void fire(Pending<T>& pending) {
    while (next_end_ <= placing_.watermark.now()) {
      if (late_panes_wait())  // before a window is over that they belong to
        leave_late();
      else if (!parts_.empty() && parts_.front()->last_end == next_end_)
        leave_part(Reason::watermark);
      else
        fire_next(pending, Reason::watermark);
      find_next_end();
    }
  }
  void leave_part(Reason reason) {
    here_ = nullptr;
    leave_pane(std::move(parts_.front()), reason);
    parts_.erase(parts_.begin());
  }
  void fire_next(Pending<T>& pending, Reason reason) {
    here_ = nullptr;
    const EventTime begin = next_window();
    const EventBounds bounds{begin, begin + shape_.size};
    if (shape_.hop == shape_.size)
      fire_whole(bounds, reason);
    else
      fire_overlapping(pending, bounds, reason);
    not_before_ = begin + shape_.hop;
  }
  void fire_whole(const EventBounds& bounds, Reason reason) {
    if (!panes_.empty() && panes_.front()->bounds == bounds) {
      leave_pane(std::move(panes_.front()), reason);
      panes_.erase(panes_.begin());
      if (shape_.closings > 0) tell_closings_of(bounds);
    }
    if (closings_until_ > bounds.begin) tell_over(bounds.end, reason);
  }
  void tell_closings_of(const EventBounds& pane) noexcept {
    closings_until_ = std::max(closings_until_, pane.begin + shape_.closings * pane_);
  }
  /// Without a key or an item: panes until then are over; see PaneShape::closings.
  void tell_over(EventTime until, Reason reason) {
    groups_.push_back(
        {.reason = reason, .bounds = {until - pane_, until}, .pane = {}, .closing = true});
    over_ = until;
  }
  /// Of what waits here, all has met a watermark between the same two ends of whole windows.
  void leave_late() {
    if (late_.empty()) return;
    if (late_panes_wait() && over_ < late_met_) tell_over(late_met_, Reason::watermark);
    for (auto& pane : late_) leave_pane(std::move(pane), Reason::late);
    late_.clear();
    find_next_end();
  }
  void fire_overlapping(Pending<T>& pending, const EventBounds& bounds, Reason reason) {
    Group group{.reason = reason, .bounds = bounds, .pane = {}};
    KeyMap<K, std::uint32_t> at;
    for (const bool owned : {true, false}) {  // what leaves stands before what is copied
      for (const auto& pane : panes_) {
        if (pane->bounds.begin >= bounds.end) break;
        if ((pane->bounds.begin < bounds.begin + shape_.hop) != owned) continue;
        for (std::uint32_t slot = 0; slot < pane->buckets.slots(); ++slot) {
          const BucketId bucket = pane->buckets[slot];
          const std::uint32_t i =
              at[at.insert(pane->buckets.key(slot), [&] {
                     group.overlapping.push_back(
                         {.reason = reason, .bounds = bounds, .key = pane->buckets.key(slot)});
                     return static_cast<std::uint32_t>(group.overlapping.size() - 1);
                   }).first];
          if (owned)
            group.overlapping[i].owned.push_back(bucket);
          else
            group.overlapping[i].copied.push_back({bucket, pending.size(bucket)});
        }
      }
    }
    while (!panes_.empty() && panes_.front()->bounds.begin < bounds.begin + shape_.hop) {
      store_.recycle(std::move(panes_.front()));
      panes_.erase(panes_.begin());
    }
    if (!group.overlapping.empty()) groups_.push_back(std::move(group));
  }
  void leave_pane(std::unique_ptr<Pane<K>> pane, Reason reason) {
    const EventBounds bounds{pane->last_end - shape_.size, pane->last_end};
    groups_.push_back({.reason = reason, .bounds = bounds, .pane = std::move(pane)});
  }
  bool choose(Pending<T>& pending) {
    return exit_.choose(pending, [&](Leaving<K>& window) {
      return placing_.leave_side(pending, window) || next_of_groups(pending, window);
    });
  }
  bool next_of_groups(Pending<T>& pending, Leaving<K>& window) {
    while (!groups_.empty()) {
      Group& group = groups_.front();
      window.reason = group.reason;
      window.bounds = group.bounds;
      if (std::exchange(group.closing, false)) return true;
      if (group.pane) {
        while (group.cursor < group.pane->buckets.slots()) {
          const std::uint32_t slot = group.cursor++;
          const BucketId bucket = group.pane->buckets[slot];
          if (pending.size(bucket) > 0) {
            window.key = group.pane->buckets.key(slot);
            window.owned.push_back(bucket);
            return true;
          }
          pending.close_bucket(bucket);  // its items were dropped while they waited
        }
        store_.recycle(std::move(group.pane));
      } else if (group.cursor < group.overlapping.size()) {
        window = std::move(group.overlapping[group.cursor++]);
        return true;
      }
      groups_.pop_front();
    }
    return false;
  }

  const PaneShape shape_;
  const Duration pane_;
  Placing<T, Timestamp, KeyFn> placing_;

  typename PaneStore<K>::Panes panes_;  // by time
  typename PaneStore<K>::Panes parts_;  // in time, but their windows were flushed
  typename PaneStore<K>::Panes late_;
  PaneStore<K> store_;
  Pane<K>* here_ = nullptr;  // the pane of the last item, which is mostly that of the next one
  EventTime not_before_ = EventTime::min();      // windows that begin before this have fired
  EventTime closings_until_ = EventTime::min();  // see PaneShape::closings
  EventTime over_ = EventTime::min();            // as was told by the last of them
  EventTime late_met_ = EventTime::min();  // the last end of a whole window that late_ has met
  EventTime next_end_ = EventTime::max();

  std::vector<BucketId> to_;  // where the items in front go
  std::deque<Group> groups_;
  Exit<T, K> exit_;
};

}  // namespace microbatch::inline v0_1::detail
