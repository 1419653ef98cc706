#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "lane.hpp"
#include "lane_alarm.hpp"
#include "lane_marks.hpp"

namespace microbatch::inline v0_1::detail {

/// The lock-free many-producer, single-consumer queue of a stream: the set of its lanes.
///
/// Use a lane of your own (acquire, push, release). Between items of different lanes there is no
/// order, except that a stamped queue is swept by arrival.
///
/// Threads: acquire, release and reclaim by anybody; the rest by whoever holds the token. The lock
/// here is taken when lanes come and go, never for an item.
template <class T>
class Lanes {
 public:
  struct Extras {
    bool stamped = false;
    bool weighed = false;
    Memory memory{};
  };

  Lanes(Room& room, Wake& wake, Clock& clock, std::size_t capacity, Extras extras)
      : chunks_(chunk_slots<T>(capacity), extras.memory),
        shared_{.room = room,
                .chunks = chunks_,
                .wake = wake,
                .clock = clock,
                .asymmetric = has_asymmetric_barrier(),
                .short_way = is_light_barrier_light() && !extras.weighed},
        stamped_(extras.stamped) {}

  [[nodiscard]] Lane<T>& acquire() {
    std::lock_guard lock(mutex_);
    in_use_.fetch_add(1, std::memory_order_relaxed);
    if (!free_.empty()) {
      Lane<T>* lane = free_.back();
      free_.pop_back();
      return *lane;
    }
    auto lane = std::make_unique<Lane<T>>(shared_);
    free_.reserve(lanes_.size() + 1);
    lanes_.push_back(std::move(lane));
    Lane<T>& made = *lanes_.back();
    if (stamped_) made.start_stamped();
    if (closed_) made.close();
    // relaxed: refresh() reads the list under the lock; a stale count is caught after the barrier.
    count_.store(lanes_.size(), std::memory_order_relaxed);
    return made;
  }

  /// By the lane's producer: a mark behind what it has appended. Follow with a ring.
  void put_mark(Lane<T>& lane, const Mark& mark) { between_.put(&lane, lane.accepted(), mark); }

  /// The producer is done; what it appended stays, and the next producer goes on behind it.
  void release(Lane<T>& lane) noexcept {
    std::lock_guard lock(mutex_);
    in_use_.fetch_sub(1, std::memory_order_relaxed);
    free_.push_back(&lane);  // reserved when the lane was made
  }

  /// Gets the lane a chunk and a share of the room.
  [[nodiscard]] typename Lane<T>::Refill refill(Lane<T>& lane) {
    const auto lanes = std::max<std::int64_t>(1, in_use_.load(std::memory_order_relaxed));
    const auto chunk = static_cast<std::int64_t>(chunks_.slots());
    // Alone: all there is, so that `full` is exact. Among others: an even part of half of it.
    const std::int64_t share =
        lanes == 1 ? chunk : std::clamp<std::int64_t>(shared_.room.left() / (2 * lanes), 1, chunk);
    return lane.refill(share);
  }

  /// Room that idle lanes hold goes back to the stream; true if there was any.
  bool reclaim() {
    std::lock_guard lock(mutex_);
    if (!any_unused()) return false;
    stopped_.clear();
    for (auto& lane : lanes_)
      if (lane->revoke()) stopped_.push_back(lane.get());
    heavy_barrier(shared_.asymmetric);
    std::uint64_t unused = 0;
    for (Lane<T>* lane : stopped_) unused += lane->reclaim();
    if (unused != 0) shared_.room.give(static_cast<std::int64_t>(unused), 0);
    return unused != 0;
  }

  /// No further append on any lane. Appends under way still end, and ring; see drained().
  void close() {
    std::lock_guard lock(mutex_);
    closed_ = true;
    for (auto& lane : lanes_) lane->close();
    heavy_barrier(shared_.asymmetric);
  }

  // Around a fork: the list stays whole, and the child's copy takes no more items.
  void lock_for_fork() { mutex_.lock(); }
  void unlock_after_fork(bool in_child) {
    if (in_child)
      for (auto& lane : lanes_) lane->shut_in_child();
    mutex_.unlock();
  }

  /// From now on every item carries its arrival time. False, and nothing changes, when there are
  /// items already (or an append is under way).
  [[nodiscard]] bool use_stamps() {
    std::lock_guard lock(mutex_);
    if (stamped_) return true;
    for (auto& lane : lanes_) lane->revoke_and_wait();
    const auto go_on = [&](bool stamped) {
      stamped_ = stamped;
      if (!stamped)
        for (auto& lane : lanes_) lane->use_stamps(false);
      std::uint64_t unused = 0;
      for (auto& lane : lanes_) unused += lane->reclaim();
      if (unused != 0) shared_.room.give(static_cast<std::int64_t>(unused), 0);
      return stamped;
    };
    try {
      for (auto& lane : lanes_) lane->use_stamps(true);
    } catch (...) {  // no memory for a column
      heavy_barrier(shared_.asymmetric);
      go_on(false);
      throw;
    }
    heavy_barrier(shared_.asymmetric);
    return go_on(std::all_of(lanes_.begin(), lanes_.end(), [](const auto& lane) {
      return lane->quiet() && lane->waiting() == 0;
    }));
  }
  [[nodiscard]] bool stamped() const noexcept { return stamped_; }

  // Whoever holds the token.

  /// Learns of lanes that have come since.
  void refresh() {
    if (view_.size() == count_.load(std::memory_order_relaxed)) return;
    std::lock_guard lock(mutex_);
    const std::size_t count = lanes_.size();
    view_.reserve(count);  // all memory first: out of it, nothing has changed
    tails_.resize(count);
    marks_.resize(count);
    alarm_.reserve(count);
    for (std::size_t i = view_.size(); i < count; ++i) view_.push_back(lanes_[i].get());
  }

  [[nodiscard]] std::uint64_t accepted() const noexcept {
    std::uint64_t sum = 0;
    for (const Lane<T>* lane : view_) sum += lane->accepted();
    return sum;
  }
  /// Taken out of the lanes so far, by sweeping or dropping.
  [[nodiscard]] std::uint64_t taken() const noexcept { return taken_; }
  [[nodiscard]] std::uint64_t waiting() const noexcept { return accepted() - taken_; }

  /// Every lane closed, empty, and not in the midst of an append.
  [[nodiscard]] bool drained() const noexcept {
    for (const Lane<T>* lane : view_)
      if (!lane->quiet() || lane->waiting() != 0) return false;
    return true;
  }

  /// The same, but for what still waits.
  [[nodiscard]] bool quiet() const noexcept {
    return std::all_of(view_.begin(), view_.end(),
                       [](const Lane<T>* lane) { return lane->quiet(); });
  }

  /// Closed and drained: all item memory is given back, while producers may still ask and be told
  /// `closed`.
  void let_go() noexcept {
    std::lock_guard lock(mutex_);
    for (auto& lane : lanes_) lane->let_go();
    chunks_.clear();
  }

  /// Remembers what is published now, for passed_marks().
  void mark() {
    refresh();
    for (std::size_t i = 0; i < view_.size(); ++i) marks_[i] = view_[i]->accepted();
  }
  /// Everything that was published at the last mark() has left the lanes.
  [[nodiscard]] bool passed_marks() const noexcept {
    for (std::size_t i = 0; i < view_.size(); ++i)
      if (view_[i]->reader().head() < marks_[i]) return false;
    return true;
  }
  [[nodiscard]] std::size_t count() const noexcept { return view_.size(); }

  /// Moves up to n items that arrived before `before` into the backlog; those of one lane in their
  /// order, all of them by arrival where they are stamped. Returns how many came.
  std::size_t sweep(Backlog<T>& into, std::size_t n, TimePoint before) {
    left_behind_ = 0;
    const std::size_t swept = stamped_ ? sweep_by_arrival(into, n, before) : sweep_in_turn(into, n);
    if (between_.any()) [[unlikely]]
      take_marks(into);
    return swept;
  }

  /// What the last sweep saw and left, because it had not arrived before `before`.
  [[nodiscard]] std::uint64_t left_behind() const noexcept { return left_behind_; }

  void seal() noexcept {
    for (Lane<T>* lane : view_) lane->seal();
  }

  /// Rings, at the latest, when `wanted` items wait in the lanes; see LaneAlarm. False when so many
  /// are waiting already. Follow with barrier() and asleep().
  [[nodiscard]] bool arm(std::uint64_t wanted) noexcept {
    return alarm_.arm(view_, taken_, wanted);
  }
  [[nodiscard]] bool asleep(std::uint64_t wanted) {
    refresh();
    return alarm_.asleep(view_, taken_, wanted);
  }
  void mark_round(std::uint64_t wanted) noexcept { alarm_.mark_round(wanted); }
  void disarm() noexcept {
    for (Lane<T>* lane : view_) lane->arm(LaneGate::nobody);
  }
  void barrier() const noexcept { heavy_barrier(shared_.asymmetric); }

  /// The lane whose front is the oldest: by stamp where there are stamps, else `own` if it has
  /// items, else the fullest. Null when all are empty.
  [[nodiscard]] Lane<T>* oldest(Lane<T>* own) noexcept {
    if (!stamped_ && own != nullptr && own->waiting() > 0) return own;
    Lane<T>* best = nullptr;
    for (Lane<T>* lane : view_) {
      if (lane->waiting() == 0) continue;
      if (best == nullptr || (stamped_ ? lane->reader().front_stamp() < best->reader().front_stamp()
                                       : lane->waiting() > best->waiting()))
        best = lane;
    }
    return best;
  }
  /// Takes the front item out of a lane; its slots were settled in place.
  void pop(Lane<T>& lane) noexcept {
    lane.reader().pop();
    ++taken_;
  }

 private:
  /// Under the lock: some lane holds room that it has not used, as far as one can see from here.
  [[nodiscard]] bool any_unused() const noexcept {
    return std::any_of(lanes_.begin(), lanes_.end(),
                       [](const auto& lane) { return lane->seems_unused(); });
  }

  std::size_t sweep_in_turn(Backlog<T>& into, std::size_t n) {
    std::size_t swept = 0;
    for (std::size_t k = 0; k < view_.size() && swept < n; ++k) {
      Lane<T>& lane = *view_[turn_ % view_.size()];
      swept += take(into, lane, lane.accepted(), n - swept, never);
      if (swept < n) ++turn_;
    }
    if (swept > 0 && swept == n) ++turn_;
    return swept;
  }

  std::size_t sweep_by_arrival(Backlog<T>& into, std::size_t n, TimePoint before) {
    for (std::size_t i = 0; i < view_.size(); ++i) tails_[i] = view_[i]->accepted();
    std::size_t swept = 0;
    for (;;) {
      std::size_t oldest = view_.size();
      TimePoint first = never;
      TimePoint second = never;
      for (std::size_t i = 0; i < view_.size(); ++i) {
        if (view_[i]->reader().head() >= tails_[i]) continue;
        const TimePoint stamp = view_[i]->reader().front_stamp();
        if (oldest == view_.size() || stamp < first) {
          second = first;
          first = stamp;
          oldest = i;
        } else {
          second = std::min(second, stamp);
        }
      }
      into.next_arrival = first;
      if (oldest == view_.size() || swept == n) return swept;
      if (first >= before) {
        for (std::size_t i = 0; i < view_.size(); ++i)
          left_behind_ += tails_[i] - view_[i]->reader().head();
        return swept;
      }
      // Up to the runner-up's first item, which is then the oldest (ties go to the lower lane).
      const TimePoint until = std::min(before, later(second, Duration{1}));
      swept += take(into, *view_[oldest], tails_[oldest], n - swept, until);
    }
  }

  std::size_t take(Backlog<T>& into, Lane<T>& lane, std::uint64_t tail, std::size_t n,
                   TimePoint until) {
    if (!between_.any()) [[likely]]
      return lane.reader().sweep(into, tail, n, until, taken_);
    const std::uint64_t head = lane.reader().head();
    const std::uint64_t at = into.end_position();
    const std::size_t swept = lane.reader().sweep(into, tail, n, until, taken_);
    place_marks(lane, head, at, into);
    return swept;
  }
  /// Marks of lanes that the sweep had nothing to take from.
  void take_marks(Backlog<T>& into) {
    for (const Lane<T>* lane : view_)
      place_marks(*lane, lane->reader().head(), into.end_position(), into);
  }
  /// Those between what has been swept of a lane since `head`, and now stands from `at` on.
  void place_marks(const Lane<T>& lane, std::uint64_t head, std::uint64_t at, Backlog<T>& into) {
    between_.place(&lane, head, lane.reader().head(), at, into.marks);
    if (!into.keeps_marks) into.marks.clear();
  }

  ChunkPool<T> chunks_;
  LaneShared<T> shared_;
  LaneMarks between_;  // what sources say between their items

  mutable Mutex mutex_;
  std::vector<std::unique_ptr<Lane<T>>> lanes_;
  std::vector<Lane<T>*> free_;
  std::vector<Lane<T>*> stopped_;
  bool closed_ = false;
  bool stamped_;  // changes only under the lock and the token
  Atomic<std::size_t> count_{0};
  Atomic<std::int64_t> in_use_{0};

  // The token's.
  std::vector<Lane<T>*> view_;
  LaneAlarm<T> alarm_;
  std::vector<std::uint64_t> tails_;  // at the last sweep by arrival
  std::vector<std::uint64_t> marks_;  // ... and at the last mark()
  std::size_t turn_ = 0;
  std::uint64_t taken_ = 0;
  std::uint64_t left_behind_ = 0;
};

}  // namespace microbatch::inline v0_1::detail
