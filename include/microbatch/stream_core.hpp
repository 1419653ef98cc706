#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <type_traits>
#include <utility>

#include "core/backlog.hpp"
#include "core/thread_role.hpp"
#include "delivery/settlement.hpp"
#include "queue/lanes.hpp"
#include "queue/thread_lanes.hpp"
#include "stream_options.hpp"

namespace microbatch::detail {

/// What a stream, its producers and its consumer share: the lanes, the room, the swept items and
/// the ledger. It lives as long as any of them, so producers get `closed` also after the Stream is
/// gone.
///
/// Threads: append by anybody, each on its own lane; what stands under "token" by its holder.
template <class T>
class StreamCore final : public LaneHome {
 public:
  enum class Wait : std::uint8_t { never, as_configured };

  explicit StreamCore(StreamOptions<T> options)
      : options_(checked(std::move(options))),
        clock(*options_.clock),
        room(static_cast<std::int64_t>(options_.capacity), options_.max_bytes),
        wake(clock),
        lanes(room, wake, clock, options_.capacity, options_.arrival_stamps || expires()),
        backlog({this, &StreamCore::lose}),
        settlement(room) {
    backlog.stamped = lanes.stamped();
  }

  [[nodiscard]] const StreamOptions<T>& options() const noexcept { return options_; }
  [[nodiscard]] bool weighs() const noexcept { return static_cast<bool>(options_.weight); }
  [[nodiscard]] bool expires() const noexcept { return options_.expire_after != Duration::max(); }

  // Appending, on the caller's lane.

  /// The whole way of an append: room by policy, weight, luggage. Takes the item only if it answers
  /// `accepted` or `dropped`.
  template <class U>
  AppendResult append(Lane<T>& lane, U&& item, Wait wait, TimePoint deadline = never,
                      Luggage luggage = {});

  /// Items from `first` on, until `last` or until one is not accepted.
  template <class It, class S>
  RangeResult append_range(Lane<T>& lane, It first, S last);

  void* acquire_lane() override { return &lanes.acquire(); }
  void release_lane(void* lane) noexcept override { lanes.release(*static_cast<Lane<T>*>(lane)); }
  [[nodiscard]] bool is_over() const noexcept override {
    return over_.load(std::memory_order_acquire);
  }

  /// No more input. Appends that wait return `closed`.
  void close_input() {
    closed_.store(true, std::memory_order_seq_cst);
    lanes.close();
    room.notify();
    wake.ring_always();
  }
  [[nodiscard]] bool closed() const noexcept { return closed_.load(std::memory_order_relaxed); }

  /// The Stream goes: waits for the calls inside, and without a consumer drops what is left.
  void end_of_stream();

  // One consumer at a time.

  ~StreamCore() override {
    attached_ = false;
    drop_unclaimed();
    after();
  }

  /// False when there is one, or the stream has had one.
  [[nodiscard]] bool attach() noexcept {
    return !attached_.exchange(true, std::memory_order_acq_rel);
  }
  [[nodiscard]] bool attached() const noexcept { return attached_.load(std::memory_order_acquire); }
  /// A consumer that could not be made after all.
  void unattach() noexcept { attached_.store(false, std::memory_order_release); }
  /// False when there are items without stamps.
  [[nodiscard]] bool begin_stamping() {
    std::lock_guard lock(token);
    backlog.stamped = lanes.stamped() || (backlog.total() == 0 && lanes.use_stamps());
    return backlog.stamped;
  }
  /// The consumer has ended; what a producer may still publish is nobody's.
  void detach() noexcept {
    attached_.store(false, std::memory_order_release);
    over_.store(true, std::memory_order_release);
  }
  void set_host(HostThreads* host) noexcept { host_.store(host, std::memory_order_release); }
  /// Those who wait for room learn that no window will make any; see Reason::capacity.
  void tell_stuck() noexcept {
    stuck_.fetch_add(1, std::memory_order_seq_cst);
    room.notify();
  }

  // Token.

  /// Drops the oldest item that is in no window, if it was stamped before that; false if not.
  bool drop_oldest(Lane<T>* own, DropCause cause, TimePoint stamped_before);
  /// Drops what is overdue. Returns when the next item will be, or never.
  TimePoint expire(TimePoint now);
  [[nodiscard]] Stats snapshot();
  [[nodiscard]] Stats stats();
  /// Tells acknowledgements and errors; the token must be free.
  void after();

 private:
  static StreamOptions<T> checked(StreamOptions<T>&& options) {
    options.check();
    return std::move(options);
  }

  /// One who waits for room. Between its making and wait() the caller looks for room once more.
  class Waiting {
   public:
    explicit Waiting(StreamCore& core, std::uint64_t weight)
        : core_(core),
          waiter_(core.room, weight),
          stuck_(core.stuck_.load(std::memory_order_seq_cst)) {
      core_.inside_.fetch_add(1, std::memory_order_seq_cst);
    }
    Waiting(const Waiting&) = delete;
    Waiting& operator=(const Waiting&) = delete;
    ~Waiting() { core_.inside_.fetch_sub(1, std::memory_order_release); }

    /// `accepted`: look again.
    [[nodiscard]] AppendResult wait(TimePoint deadline);

   private:
    StreamCore& core_;
    Room::Waiter waiter_;
    const std::uint64_t stuck_;
  };

  AppendResult refuse(AppendResult result) noexcept {
    refused_[static_cast<std::size_t>(result)].fetch_add(1, std::memory_order_relaxed);
    return result;
  }

  /// Bytes that were reserved for an item which may still be refused.
  struct BytesTaken {
    Room& room;
    std::uint64_t weight;
    ~BytesTaken() {
      if (weight != 0) room.give(0, weight);
    }
  };

  bool drop_for(Lane<T>& lane);
  bool expire_here();
  /// True when nothing is left and nothing can come.
  bool drop_unclaimed();
  static void lose(void* self, ItemSlots<T>& slots, std::size_t slot) {
    auto& core = *static_cast<StreamCore*>(self);
    core.settlement.settle(slots, slot, 1, Outcome::dropped, nullptr, DropCause::move_threw);
    core.settlement.report(BackgroundError::Where::item,
                           std::make_exception_ptr(
                               NotDelivered(Outcome::dropped, "an item's move constructor threw")));
  }

  const StreamOptions<T> options_;

 public:
  Clock& clock;
  Room room;
  Wake wake;
  Lanes<T> lanes;

  std::mutex token;
  Backlog<T> backlog;
  Settlement<T> settlement;
  const std::uint64_t id = ThreadLanes::next_id();

 private:
  std::atomic<bool> closed_{false};
  std::atomic<bool> over_{false};
  std::atomic<bool> attached_{false};
  std::atomic<HostThreads*> host_{nullptr};
  std::atomic<std::uint64_t> stuck_{0};
  std::atomic<int> inside_{0};
  std::atomic<std::uint64_t> dropped_newest_{0};
  std::atomic<std::uint64_t> refused_[7]{};
};

template <class T>
template <class U>
AppendResult StreamCore<T>::append(Lane<T>& lane, U&& item, Wait wait, TimePoint deadline,
                                   Luggage luggage) {
  if (weighs()) luggage.weight = options_.weight(std::as_const(item));
  if (luggage.weight > room.max_bytes()) return refuse(AppendResult::too_large);
  const bool bare = !weighs() && luggage.ack == nullptr && luggage.origin == nullptr;
  std::optional<Waiting> waiting;
  for (;;) {
    auto refill = Lane<T>::Refill::no_room;
    if (luggage.weight == 0 || room.take_bytes(luggage.weight)) {
      BytesTaken bytes{room, luggage.weight};
      do {
        if (bare ? lane.push(std::forward<U>(item)) : lane.push(std::forward<U>(item), luggage)) {
          bytes.weight = 0;
          return AppendResult::accepted;
        }
        refill = lanes.refill(lane);
      } while (refill == Lane<T>::Refill::ready);
    }
    if (refill == Lane<T>::Refill::closed || closed()) {
      wake.ring_always();  // an engine that drains may wait for this lane to be quiet
      return refuse(AppendResult::closed);
    }
    if (expires() && expire_here()) continue;
    switch (options_.overflow) {
      case Overflow::reject:
        return refuse(AppendResult::full);
      case Overflow::drop_newest: {
        [[maybe_unused]] const T gone(std::forward<U>(item));
        dropped_newest_.fetch_add(1, std::memory_order_relaxed);
        if (luggage.ack != nullptr) {
          luggage.ack->complete(
              std::make_exception_ptr(NotDelivered(Outcome::dropped, "item dropped: newest")));
          luggage.ack->release();
        }
        return AppendResult::dropped;
      }
      case Overflow::drop_oldest:
        if (!drop_for(lane)) return refuse(AppendResult::full);
        continue;
      case Overflow::block:
        break;
    }
    if (wait == Wait::never) return refuse(AppendResult::full);
    if (!waiting) {
      waiting.emplace(*this, luggage.weight);
      continue;  // room that was given back before we counted as waiting told nobody
    }
    if (lanes.reclaim()) continue;
    if (const auto result = waiting->wait(deadline); result != AppendResult::accepted)
      return refuse(result);
  }
}

template <class T>
template <class It, class S>
RangeResult StreamCore<T>::append_range(Lane<T>& lane, It first, S last) {
  RangeResult done;
  while (first != last) {
    if constexpr (std::sized_sentinel_for<S, It>) {
      if (!weighs()) {
        const std::size_t run = lane.push_run(first, static_cast<std::size_t>(last - first));
        done.accepted += run;
        if (run > 0) continue;
      }
    }
    done.result = append(lane, *first, Wait::as_configured);
    if (done.result != AppendResult::accepted && done.result != AppendResult::dropped) return done;
    ++done.accepted;
    ++first;
  }
  done.result = AppendResult::accepted;
  return done;
}

template <class T>
AppendResult StreamCore<T>::Waiting::wait(TimePoint deadline) {
  ThreadRole& role = this_thread_role();
  if (role.inside_callback_of(&core_)) return AppendResult::would_deadlock;
  // A callback on the stream's own pool: it may wait while another worker is left to make room.
  HostThreads* host = core_.host_.load(std::memory_order_acquire);
  const bool on_host = host != nullptr && role.host == host && role.callback != nullptr;
  if (on_host && !host->begin_wait()) return AppendResult::would_deadlock;
  core_.wake.ring_always();
  const bool changed = waiter_.until(deadline);
  if (on_host) host->end_wait();
  if (core_.stuck_.load(std::memory_order_seq_cst) != stuck_) return AppendResult::full;
  return changed ? AppendResult::accepted : AppendResult::timeout;
}

template <class T>
bool StreamCore<T>::drop_oldest(Lane<T>* own, DropCause cause, TimePoint stamped_before) {
  lanes.refresh();
  const auto overdue = [&](ItemSlots<T>& slots, std::size_t slot) {
    return slots.stamp(slot) < stamped_before;
  };
  const auto drop = [&](ItemSlots<T>& slots, std::size_t slot) {
    settlement.settle(slots, slot, 1, Outcome::dropped, nullptr, cause);
  };
  if (ItemBuffer<T>* oldest = backlog.oldest()) {
    const std::size_t slot = oldest->slot(0);
    if (!overdue(oldest->slots(), slot)) return false;
    drop(oldest->slots(), slot);
    oldest->slots().destroy(slot, 1);
    backlog.forget_oldest(*oldest);
    return true;
  }
  Lane<T>* lane = lanes.oldest(own);
  if (lane == nullptr) return false;
  auto [slots, slot] = lane->front_slot();
  if (!overdue(slots, slot)) return false;
  drop(slots, slot);
  lanes.pop(*lane);
  return true;
}

template <class T>
bool StreamCore<T>::drop_for(Lane<T>& lane) {
  bool dropped;
  {
    std::lock_guard lock(token);
    dropped = drop_oldest(&lane, DropCause::oldest, never);
  }
  after();
  return dropped;
}

template <class T>
TimePoint StreamCore<T>::expire(TimePoint now) {
  if (!expires()) return never;
  const TimePoint overdue = now < TimePoint::min() + options_.expire_after
                                ? TimePoint::min()
                                : now - options_.expire_after;
  // An item is overdue when it has waited for expire_after: stamp + expire_after <= now.
  while (drop_oldest(nullptr, DropCause::expired, later(overdue, Duration{1}))) {
  }
  TimePoint oldest = never;
  if (ItemBuffer<T>* buffer = backlog.oldest())
    oldest = buffer->slots().stamp(buffer->slot(0));
  else if (Lane<T>* lane = lanes.oldest(nullptr))
    oldest = lane->front_stamp();
  return oldest == never ? never : later(oldest, options_.expire_after);
}

template <class T>
bool StreamCore<T>::expire_here() {
  if (attached()) return false;  // the engine does it
  const std::uint64_t before = settlement.ledger.dropped(DropCause::expired);
  bool any;
  {
    std::lock_guard lock(token);
    expire(clock.now());
    any = settlement.ledger.dropped(DropCause::expired) != before;
  }
  after();
  return any;
}

template <class T>
Stats StreamCore<T>::snapshot() {
  lanes.refresh();
  Stats stats = settlement.ledger;
  const std::uint64_t newest = dropped_newest_.load(std::memory_order_relaxed);
  stats.dropped_by[static_cast<std::size_t>(DropCause::newest)] += newest;
  stats.accepted = lanes.accepted() + newest;
  stats.pending = stats.accepted - stats.settled() - stats.in_flight;
  const auto refused = [&](AppendResult r) {
    return refused_[static_cast<std::size_t>(r)].load(std::memory_order_relaxed);
  };
  stats.refused_full = refused(AppendResult::full);
  stats.refused_closed = refused(AppendResult::closed);
  stats.refused_timeout = refused(AppendResult::timeout);
  stats.refused_too_large = refused(AppendResult::too_large);
  stats.refused_would_deadlock = refused(AppendResult::would_deadlock);
  stats.offered = stats.accepted + stats.refused();
  stats.bytes = room.bytes();
  return stats;
}

template <class T>
Stats StreamCore<T>::stats() {
  Stats stats;
  {
    std::lock_guard lock(token);
    if (!attached()) expire(clock.now());
    stats = snapshot();
  }
  after();
  return stats;
}

template <class T>
void StreamCore<T>::after() {
  room.notify();
  Aftermath<T> told;
  {
    std::lock_guard lock(token);
    if (attached() || !settlement.has_aftermath()) return;  // a consumer tells its own
    settlement.collect(told);
  }
  for (auto& [state, error] : told.acks) {
    state->complete(error);
    state->release();
  }
}

template <class T>
bool StreamCore<T>::drop_unclaimed() {
  std::lock_guard lock(token);
  lanes.refresh();
  while (drop_oldest(nullptr, DropCause::unclaimed, never)) {
  }
  return lanes.drained();
}

template <class T>
void StreamCore<T>::end_of_stream() {
  close_input();
  while (inside_.load(std::memory_order_acquire) != 0) std::this_thread::yield();
  if (attached()) return;
  while (!drop_unclaimed()) std::this_thread::yield();
  over_.store(true, std::memory_order_release);
  after();
}

}  // namespace microbatch::detail
