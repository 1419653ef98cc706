#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <type_traits>
#include <utility>

#include "../core/acknowledgement.hpp"
#include "../core/clock.hpp"
#include "../core/item.hpp"
#include "../core/prefetch.hpp"
#include "../core/room.hpp"
#include "chunk.hpp"
#include "lane_gate.hpp"
#include "lane_reader.hpp"
#include "wake.hpp"

namespace microbatch::inline v0_1::detail {

/// What an append brings along beside the item. All of it is optional.
struct Luggage {
  std::uint64_t weight = 0;
  AckState* ack = nullptr;
  const Origin* origin = nullptr;
  TimePoint arrived{};  ///< TimePoint{}: now. On a lane where every item says it, or none
};

/// What the lanes of one stream share.
template <class T>
struct LaneShared {
  Room& room;
  ChunkPool<T>& chunks;
  Wake& wake;
  Clock& clock;
  bool asymmetric;
  bool short_way;  ///< for streams whose appends have nothing else to do
};

/// One producer's queue: a chain of chunks between a single writer and the consumer. Lanes outlive
/// their producers: an ended producer's lane, with whatever is still in it, goes to the next one.
///
/// Threads: push* and refill by the lane's producer; reader(), arm and seal by whoever holds the
/// stream's token; revoke, reclaim and close by anybody.
/// Errors: a constructor of T that throws comes out of push; nothing was published then.
template <class T>
class Lane {
 public:
  enum class Refill : std::uint8_t { ready, no_room, closed };

  explicit Lane(const LaneShared<T>& shared)
      : shared_(shared), gate_(shared.asymmetric), reader_(shared.chunks) {}
  Lane(const Lane&) = delete;
  Lane& operator=(const Lane&) = delete;
  ~Lane() { reader_.drop_all(gate_.tail()); }

  // The producer.

  /// The short way. False: nothing happened, and push() may take the item all the same.
  template <class U>
  [[nodiscard, gnu::always_inline]] bool push_short(U&& item) {
    bool lost = false;
    const std::uint64_t position = gate_.enter_short(lost);
    if (position == LaneGate::none) [[unlikely]] {
      if (lost) withdraw();
      return false;
    }
    T* const at = place(position);
    fetch_ahead(at);
    construct(at, std::forward<U>(item));
    if (gate_.publish_short(position)) [[unlikely]]
      shared_.wake.ring();
    return true;
  }

  /// False: nothing happened, see refill().
  template <class U>
  [[nodiscard]] bool push(U&& item) {
    if (gate_.enter(1) == 0) {
      withdraw();
      return false;
    }
    construct(place(gate_.next()), std::forward<U>(item));
    finish(1);
    return true;
  }

  /// The same with weight, acknowledgement and origin.
  template <class U>
  [[nodiscard]] bool push(U&& item, const Luggage& luggage) {
    if (gate_.enter(1) == 0) {
      withdraw();
      return false;
    }
    auto& slots = write_->slots;
    const std::size_t slot = shared_.chunks.slot(gate_.next());
    try {
      slots.set(slots.weights, slot, luggage.weight);
      if (luggage.origin != nullptr) slots.set(slots.origins, slot, *luggage.origin);
      if (luggage.ack != nullptr) slots.set(slots.acks, slot, luggage.ack);
      ::new (static_cast<void*>(slots.at(slot))) T(std::forward<U>(item));
    } catch (...) {
      slots.blank(slot, 1);
      give_up();
      throw;
    }
    finish(1, luggage.arrived);
    return true;
  }

  /// As many of n items as fit at once, taken from `first`; returns how many. Their origins, if
  /// any, stand at `origins`.
  template <class It>
  [[nodiscard]] std::size_t push_run(It& first, std::size_t n, const Origin* origins = nullptr) {
    const std::size_t may = gate_.enter(n);
    if (may == 0) {
      withdraw();
      return 0;
    }
    T* const at = place(gate_.next());
    std::size_t made = 0;
    try {
      if (origins != nullptr)
        write_->slots.set_origins(shared_.chunks.slot(gate_.next()), origins, may);
      for (; made < may; ++made, ++first) ::new (static_cast<void*>(at + made)) T(*first);
    } catch (...) {
      write_->slots.blank(shared_.chunks.slot(gate_.next()) + made, may - made);
      finish(made);
      give_up();
      throw;
    }
    finish(made);
    if (made < n) withdraw();
    return made;
  }

  /// Called after a push that returned false: gets a chunk and room for it.
  [[nodiscard]] Refill refill(std::int64_t share) {
    std::lock_guard lock(lock_);
    if (closed_) return Refill::closed;  // and leave the pool alone: see let_go()
    Chunk<T>* const fresh = at_chunk_end() ? take_chunk() : nullptr;
    if (granted() <= gate_.next())
      set_granted(granted() + static_cast<std::uint64_t>(shared_.room.take(share)));
    if (granted() <= gate_.next()) {
      if (fresh != nullptr) shared_.chunks.give(fresh);
      return Refill::no_room;
    }
    link(fresh);
    return Refill::ready;
  }

  // Anybody. Each is followed by a heavy_barrier, one for all lanes.

  /// Room was granted and is not used, at a glance.
  [[nodiscard]] bool seems_unused() const noexcept { return granted() > gate_.tail(); }
  /// Stops the producer at its next append until reclaim(); false if it holds the lock right now.
  [[nodiscard]] bool revoke() {
    if (!lock_.try_lock()) return false;
    gate_.set_limit(0, false);
    return true;
  }
  /// The same, waiting for the lock.
  void revoke_and_wait() {
    lock_.lock();
    gate_.set_limit(0, false);
  }
  /// Between revoke_and_wait() and the barrier: from the producer's next append on, items are
  /// stamped.
  void use_stamps(bool use) {
    if (use && write_ != nullptr) write_->slots.ensure(write_->slots.stamps);
    // release: a producer that sees the flag, in an append under way, sees the column, too.
    stamped_.store(use, std::memory_order_release);
  }
  /// For a lane that nobody has seen yet.
  void start_stamped() noexcept { stamped_.store(true, std::memory_order_relaxed); }
  /// Room that was granted and is not used, given back. Ends revoke().
  std::uint64_t reclaim() {
    const std::uint64_t reach = gate_.reach();
    const std::uint64_t unused = granted() > reach ? granted() - reach : 0;
    set_granted(granted() - unused);
    if (!closed_) open();
    lock_.unlock();
    return unused;
  }
  /// No further append; whatever is under way still ends, and rings.
  void close() {
    std::lock_guard lock(lock_);
    closed_ = true;
    gate_.set_limit(0, false);
    gate_.arm(0);
  }
  /// In a forked child, where the lock may be held for ever: no append takes the short way.
  void shut_in_child() noexcept {
    gate_.set_limit(0, false);
    gate_.arm(0);
  }
  /// After close() and the barrier: the producer is not in the midst of an append.
  [[nodiscard]] bool quiet() const noexcept { return gate_.quiet(); }
  /// Closed, quiet and empty: nobody looks into the chunks any more, and all of them go back to the
  /// pool.
  void let_go() noexcept {
    std::lock_guard lock(lock_);
    reader_.drop_all(gate_.tail());
    write_ = nullptr;
  }

  // Whoever holds the token.

  [[nodiscard]] std::uint64_t accepted() const noexcept { return gate_.tail(); }
  [[nodiscard]] std::size_t waiting() const noexcept {
    return static_cast<std::size_t>(gate_.tail() - reader_.head());
  }
  [[nodiscard]] const LaneReader<T>& reader() const noexcept { return reader_; }
  [[nodiscard]] LaneReader<T>& reader() noexcept { return reader_; }
  void arm(std::uint64_t at) noexcept { gate_.arm(at); }
  void seal() noexcept { gate_.seal(); }

 private:
  /// Where the producer's next items go.
  [[nodiscard]] T* place(std::uint64_t position) const noexcept {
    return reinterpret_cast<T*>(base_ + position * sizeof(T));
  }
  // relaxed: changed under the lock alone; a glance without it may be stale.
  [[nodiscard]] std::uint64_t granted() const noexcept {
    return granted_.load(std::memory_order_relaxed);
  }
  void set_granted(std::uint64_t to) noexcept { granted_.store(to, std::memory_order_relaxed); }
  [[nodiscard]] bool at_chunk_end() const noexcept { return gate_.next() == chunk_end_; }

  template <class U>
  void construct(T* at, U&& item) {
    if constexpr (std::is_nothrow_constructible_v<T, U&&>) {
      ::new (static_cast<void*>(at)) T(std::forward<U>(item));
    } else {
      try {
        ::new (static_cast<void*>(at)) T(std::forward<U>(item));
      } catch (...) {
        give_up();
        throw;
      }
    }
  }

  /// A constructor threw: whoever waits for room may have looked at this lane just before it got
  /// its share, which it does not need now.
  [[gnu::noinline]] void give_up() {
    withdraw();
    shared_.room.notify();
  }

  /// The claim, or the rest of it, is given up; an engine that drains may be waiting for just that.
  [[gnu::noinline]] void withdraw() {
    if (gate_.leave()) [[unlikely]]
      shared_.wake.ring();
  }

  void finish(std::size_t made, TimePoint at = {}) {
    if (made == 0) return;
    // use_stamps() either sees our claim or is seen here; see enter(). acquire: with its release.
    const bool wake =
        stamped_.load(std::memory_order_acquire) ? publish_stamped(made, at) : gate_.publish(made);
    if (wake) [[unlikely]]
      shared_.wake.ring();
  }

  [[nodiscard, gnu::noinline]] bool publish_stamped(std::size_t n, TimePoint arrived) {
    if (arrived != TimePoint{}) return publish_arrived(arrived);
    const std::uint64_t at = gate_.next();
    TimePoint* stamps = write_->slots.stamps.get() + shared_.chunks.slot(at);
    do {
      if (gate_.is_sealed()) gate_.unseal();
      std::fill_n(stamps, n, shared_.clock.now());
    } while (!gate_.try_publish(n));
    return gate_.must_wake(at + n);
  }

  /// One item that says when it arrived. It counts as arrived then, though not before the item in
  /// front of it, nor in a time that a seal has closed.
  [[nodiscard]] bool publish_arrived(TimePoint arrived) {
    const std::uint64_t at = gate_.next();
    TimePoint& stamp = write_->slots.stamps.get()[shared_.chunks.slot(at)];
    do {
      if (gate_.is_sealed()) {
        gate_.unseal();
        last_arrived_ = shared_.clock.now();
      }
      stamp = last_arrived_ = std::max(arrived, last_arrived_);
    } while (!gate_.try_publish(1));
    return gate_.must_wake(at + 1);
  }

  /// Under the lock, which stamped_ changes under: one with what its items need.
  [[nodiscard]] Chunk<T>* take_chunk() {
    Chunk<T>* const fresh = shared_.chunks.take();
    try {
      if (stamped_.load(std::memory_order_relaxed)) fresh->slots.ensure(fresh->slots.stamps);
    } catch (...) {
      shared_.chunks.give(fresh);
      throw;
    }
    return fresh;
  }
  /// Under the lock, with room granted.
  void link(Chunk<T>* fresh) {
    if (fresh != nullptr) {
      if (write_ != nullptr)
        write_->next = fresh;
      else
        reader_.start(fresh);
      write_ = fresh;
      // So that base_ and a position make a place; it may point outside of anything.
      base_ = reinterpret_cast<std::uintptr_t>(write_->slots.at(0)) - chunk_end_ * sizeof(T);
      chunk_end_ += shared_.chunks.slots();
    }
    open();
  }
  /// Under the lock: the producer may go on.
  void open() noexcept {
    gate_.set_limit(std::min(granted(), chunk_end_),
                    shared_.short_way && !stamped_.load(std::memory_order_relaxed));
  }

  LaneShared<T> shared_;
  LaneGate gate_;

  // The producer's.
  Chunk<T>* write_ = nullptr;
  std::uintptr_t base_ = 0;
  Atomic<bool> stamped_{false};
  TimePoint last_arrived_{};

  // Under lock_.
  Mutex lock_;
  Atomic<std::uint64_t> granted_{0};  // room this lane has taken, as a position; others may glance
  std::uint64_t chunk_end_ = 0;       // the producer reads it without the lock: it alone writes it
  bool closed_ = false;

  LaneReader<T> reader_;
};

}  // namespace microbatch::inline v0_1::detail
