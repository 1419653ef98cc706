#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <optional>
#include <type_traits>
#include <utility>

#include "core/thread_role.hpp"
#include "queue/lanes.hpp"
#include "stream_options.hpp"

namespace microbatch::inline v0_1::detail {

template <class T>
class StreamCore;

/// How items get in: what an append does when the short way (Lane::push) does not suffice. Room by
/// policy, waiting for it, weights, and the count of what was refused.
///
/// Threads: any, each on its own lane.
template <class T>
class Admission {
 public:
  enum class Wait : std::uint8_t { never, as_configured };

  explicit Admission(StreamCore<T>& core) noexcept : core_(core) {}

  /// The whole way of an append. Takes the item only if it answers `accepted` or `dropped`.
  template <class U>
  AppendResult append(Lane<T>& lane, U&& item, Wait wait, TimePoint deadline = microbatch::never,
                      Luggage luggage = {});

  /// Items from `first` on, until `last` or until one is not taken.
  template <class It, class S>
  RangeResult append_range(Lane<T>& lane, It first, S last);

  /// Callbacks on these threads may wait for room only while another of them is left to make it.
  void set_host(HostThreads* host) noexcept { host_.store(host, std::memory_order_release); }
  [[nodiscard]] HostThreads* host() const noexcept { return host_.load(std::memory_order_acquire); }
  /// Those who wait for room learn that no window will make any; see Reason::capacity.
  void tell_stuck() noexcept {
    // seq_cst: before the notify that makes them look, whatever they read last.
    stuck_.fetch_add(1, std::memory_order_seq_cst);
    core_.room.notify();
  }

  /// How often that was told.
  [[nodiscard]] std::uint64_t stuck() const noexcept {
    return stuck_.load(std::memory_order_seq_cst);
  }

  /// Accepted and dropped at once (Overflow::drop_newest); they never were in a lane.
  [[nodiscard]] std::uint64_t dropped_newest() const noexcept {
    return dropped_newest_.load(std::memory_order_relaxed);
  }
  [[nodiscard]] std::uint64_t refused(AppendResult why) const noexcept {
    return refused_[static_cast<std::size_t>(why)].load(std::memory_order_relaxed);
  }

 private:
  /// One who waits for room. Between its making and wait() the caller looks for room once more.
  class Waiting {
   public:
    Waiting(Admission& admission, std::uint64_t weight)
        : admission_(admission),
          waiter_(admission.core_.room, weight),
          stuck_(admission.stuck_.load(std::memory_order_seq_cst)) {}
    Waiting(const Waiting&) = delete;
    Waiting& operator=(const Waiting&) = delete;

    /// `accepted`: look again.
    [[nodiscard]] AppendResult wait(TimePoint deadline);

   private:
    Admission& admission_;
    Room::Waiter waiter_;
    const std::uint64_t stuck_;
    bool rung_ = false;
  };

  /// Bytes that were reserved for an item which may still be refused.
  struct BytesTaken {
    Room& room;
    std::uint64_t weight;
    ~BytesTaken() {
      if (weight != 0) room.give(0, weight);
    }
  };

  AppendResult refuse(AppendResult result) noexcept {
    refused_[static_cast<std::size_t>(result)].fetch_add(1, std::memory_order_relaxed);
    return result;
  }

  StreamCore<T>& core_;
  std::atomic<HostThreads*> host_{nullptr};
  std::atomic<std::uint64_t> stuck_{0};
  std::atomic<std::uint64_t> dropped_newest_{0};
  std::atomic<std::uint64_t> refused_[7]{};
};

template <class T>
template <class U>
AppendResult Admission<T>::append(Lane<T>& lane, U&& item, Wait wait, TimePoint deadline,
                                  Luggage luggage) {
  if (core_.forked()) return AppendResult::forked;
  if (core_.weighs()) luggage.weight = core_.options().weight(std::as_const(item));
  if (luggage.weight > core_.room.max_bytes()) return refuse(AppendResult::too_large);
  const bool bare = !core_.weighs() && luggage.ack == nullptr && luggage.origin == nullptr;
  std::optional<Waiting> waiting;
  for (;;) {
    auto refill = Lane<T>::Refill::no_room;
    if (luggage.weight == 0 || core_.room.take_bytes(luggage.weight)) {
      BytesTaken bytes{core_.room, luggage.weight};
      do {
        if (bare ? lane.push(std::forward<U>(item)) : lane.push(std::forward<U>(item), luggage)) {
          bytes.weight = 0;
          return AppendResult::accepted;
        }
        refill = core_.lanes.refill(lane);
      } while (refill == Lane<T>::Refill::ready);
    }
    if (refill == Lane<T>::Refill::closed) {
      core_.wake.ring_always();  // an engine that drains may wait for this lane to be quiet
      return refuse(AppendResult::closed);
    }
    TimePoint next_expiry;
    if (core_.expire_unattended(next_expiry)) continue;
    switch (core_.options().overflow) {
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
        if (!core_.drop_oldest_for(lane)) return refuse(AppendResult::full);
        continue;
      case Overflow::block:
        break;
    }
    if (wait == Wait::never) return refuse(AppendResult::full);
    if (!waiting) {
      waiting.emplace(*this, luggage.weight);
      continue;  // room that was given back before we counted as waiting told nobody
    }
    if (core_.lanes.reclaim()) continue;
    const auto result = waiting->wait(std::min(deadline, next_expiry));
    const bool expiry_is_due = result == AppendResult::timeout && next_expiry < deadline;
    if (result != AppendResult::accepted && !expiry_is_due) return refuse(result);
  }
}

template <class T>
template <class It, class S>
RangeResult Admission<T>::append_range(Lane<T>& lane, It first, S last) {
  RangeResult done;
  if (core_.forked()) return {.result = AppendResult::forked};
  while (first != last) {
    if constexpr (std::sized_sentinel_for<S, It>) {
      if (!core_.weighs()) {
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
AppendResult Admission<T>::Waiting::wait(TimePoint deadline) {
  const WaitForStream wait(&admission_.core_, admission_.host());
  if (wait.would_deadlock()) return AppendResult::would_deadlock;
  // Once: an engine that knows of us sees in every later turn that somebody waits.
  if (!std::exchange(rung_, true)) admission_.core_.wake.ring_always();
  const bool changed = waiter_.until(deadline);
  if (admission_.stuck_.load(std::memory_order_seq_cst) != stuck_) return AppendResult::full;
  return changed ? AppendResult::accepted : AppendResult::timeout;
}

}  // namespace microbatch::inline v0_1::detail
