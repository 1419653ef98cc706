#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>

#include "admission.hpp"
#include "core/backlog.hpp"
#include "core/fork.hpp"
#include "core/room_sleepers.hpp"
#include "delivery/settlement.hpp"
#include "eviction.hpp"
#include "queue/lanes.hpp"
#include "queue/thread_lanes.hpp"
#include "stream_options.hpp"

namespace microbatch::inline v0_1::detail {

/// What a stream, its producers and its consumer share: the lanes, the room, the swept items and
/// the ledger. It lives as long as any of them, so producers get `closed` also after the Stream is
/// gone.
///
/// Threads: append by anybody, each on its own lane; what stands under "token" by its holder.
template <class T>
class StreamCore final : public LaneHome, public ForkAware {
 public:
  explicit StreamCore(StreamOptions<T> options)
      : options_(checked(std::move(options))),
        clock(*options_.clock),
        room(static_cast<std::int64_t>(options_.capacity), options_.max_bytes),
        wake(clock),
        lanes(room, wake, clock, options_.capacity,
              {.stamped = options_.arrival_stamps || expires(),
               .weighed = weighs(),
               .memory = Memory(options_.memory)}),
        backlog({this, &StreamCore::lose}),
        settlement(room) {
    backlog.stamped = lanes.stamped();
    watch_forks();
  }

  [[nodiscard]] const StreamOptions<T>& options() const noexcept { return options_; }
  [[nodiscard]] bool weighs() const noexcept { return static_cast<bool>(options_.weight); }
  [[nodiscard]] bool expires() const noexcept { return options_.expire_after != Duration::max(); }

  void* acquire_lane() override { return &lanes.acquire(); }
  void release_lane(void* lane) noexcept override { lanes.release(*static_cast<Lane<T>*>(lane)); }
  [[nodiscard]] bool is_over() const noexcept override {
    return over_.load(std::memory_order_acquire);
  }

  /// No more input. Appends that wait return `closed`.
  void close_input() {
    lanes.close();
    closed_.store(true, std::memory_order_seq_cst);
    room.notify();
    wake.ring_always();
  }
  [[nodiscard]] bool closed() const noexcept { return closed_.load(std::memory_order_relaxed); }

  /// The Stream goes: waits for the calls inside, and without a consumer drops what is left.
  void end_of_stream();

  // One consumer at a time.

  ~StreamCore() override {
    unwatch_forks();
    if (forked()) return;  // nobody may be told, and nobody is there to tell
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
  void detach();

  // Token.

  // (The next three take it themselves.)
  /// Overflow::drop_oldest: makes room for an append on `lane`; false when nothing can be dropped.
  bool drop_oldest_for(Lane<T>& lane);
  /// Without a consumer, appends drop what is overdue; true if anything was, otherwise `next` is
  /// when something will be.
  bool expire_unattended(TimePoint& next);
  [[nodiscard]] Stats stats();

  /// After close_input: no append is under way.
  [[nodiscard]] bool all_quiet() {
    std::lock_guard lock(token);
    lanes.refresh();
    return lanes.quiet();
  }

  /// How many of those who sleep for room are to be woken, when the token is free again.
  [[nodiscard]] std::size_t sleepers_due() noexcept {
    if (!sleepers.any()) return 0;
    const bool stuck = std::exchange(told_stuck_, admission.stuck()) != admission.stuck();
    if (closed() || stuck) return RoomSleepers::all;
    return static_cast<std::size_t>(std::max<std::int64_t>(room.left(), 1));
  }
  /// Drops what is overdue. Returns when the next item will be, or never.
  TimePoint expire(TimePoint now) {
    return expires() ? eviction_.expire(now, options_.expire_after) : never;
  }
  [[nodiscard]] Stats snapshot();
  /// Tells acknowledgements and errors; the token must be free.
  void after();

  void before_fork() noexcept override { lanes.lock_for_fork(); }
  void after_fork(bool in_child) noexcept override { lanes.unlock_after_fork(in_child); }

 private:
  static StreamOptions<T> checked(StreamOptions<T>&& options) {
    options.check();
    return std::move(options);
  }

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
  RoomSleepers sleepers;
  Wake wake;
  Lanes<T> lanes;

  std::mutex token;
  Backlog<T> backlog;
  Settlement<T> settlement;
  Admission<T> admission{*this};
  const std::uint64_t id = ThreadLanes::next_id();

 private:
  Eviction<T> eviction_{lanes, backlog, settlement};
  std::uint64_t told_stuck_ = 0;
  std::atomic<bool> closed_{false};
  std::atomic<bool> over_{false};
  std::atomic<bool> attached_{false};
};

template <class T>
bool StreamCore<T>::drop_oldest_for(Lane<T>& lane) {
  bool dropped = false;
  {
    std::lock_guard lock(token);
    dropped = eviction_.drop_oldest(&lane, DropCause::oldest, never);
  }
  after();
  return dropped;
}

template <class T>
bool StreamCore<T>::expire_unattended(TimePoint& next) {
  next = never;
  if (!expires() || attached()) return false;  // the engine does it
  {
    std::lock_guard lock(token);
    const std::uint64_t before = settlement.ledger.dropped(DropCause::expired);
    const TimePoint due = expire(clock.now());
    if (settlement.ledger.dropped(DropCause::expired) == before) {
      if (clock.runs_by_itself()) next = due;
      return false;
    }
  }
  after();
  return true;
}

template <class T>
Stats StreamCore<T>::snapshot() {
  lanes.refresh();
  Stats stats = settlement.ledger.stats();
  const std::uint64_t newest = admission.dropped_newest();
  stats.dropped_by[static_cast<std::size_t>(DropCause::newest)] += newest;
  stats.accepted = lanes.accepted() + newest;
  stats.pending = stats.accepted - stats.settled() - stats.in_flight;
  stats.refused_full = admission.refused(AppendResult::full);
  stats.refused_closed = admission.refused(AppendResult::closed);
  stats.refused_timeout = admission.refused(AppendResult::timeout);
  stats.refused_too_large = admission.refused(AppendResult::too_large);
  stats.refused_would_deadlock = admission.refused(AppendResult::would_deadlock);
  stats.offered = stats.accepted + stats.refused();
  stats.bytes = room.bytes();
  if (backlog.stamped)
    if (const TimePoint oldest = eviction_.oldest_stamp(); oldest != never)
      stats.oldest_pending = std::max(clock.now() - oldest, Duration::zero());
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
    std::unique_lock lock(token);
    if (!settlement.has_aftermath()) return;
    if (attached()) {  // a consumer tells it, in its order
      lock.unlock();
      return wake.ring_always();
    }
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
  eviction_.drop_all(DropCause::unclaimed);
  if (!lanes.drained()) return false;
  if (closed()) {  // threads may keep the core for its lanes; the user's memory is free already
    lanes.let_go();
    backlog.let_go();
  }
  return true;
}

template <class T>
void StreamCore<T>::detach() {
  attached_.store(false, std::memory_order_release);
  over_.store(true, std::memory_order_release);
  // An append that was under way when the stream closed may still publish; then it rings.
  wake.on_wake([this] {
    wake.arm();
    lanes.barrier();
    drop_unclaimed();
    after();
  });
  wake.arm();
  lanes.barrier();
  drop_unclaimed();
  after();
}

template <class T>
void StreamCore<T>::end_of_stream() {
  close_input();
  while (room.has_waiters()) {
    if (!attached()) sleepers.wake(RoomSleepers::all);
    std::this_thread::yield();
  }
  if (attached()) return;
  while (!drop_unclaimed()) std::this_thread::yield();
  over_.store(true, std::memory_order_release);
  after();
}

}  // namespace microbatch::inline v0_1::detail
