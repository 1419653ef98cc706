#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>

#include "../core/clock.hpp"
#include "../core/pause.hpp"
#include "../stream_core.hpp"
#include "head_start.hpp"

namespace microbatch::inline v0_1::detail {

/// How an engine that waits for items goes to sleep without missing one: it tells the lanes at
/// which count to ring, passes the barrier, and looks once more.
///
/// Threads: whoever holds the token.
template <class T>
class Sleeper {
 public:
  explicit Sleeper(StreamCore<T>& core) noexcept : core_(core) {}

  /// At the begin of a turn: nobody need ring any more. Tells when the first one did, else `now`.
  TimePoint wake_up(TimePoint now) noexcept {
    if (!armed_) return now;
    disarm();
    adapt(now - asleep_since_ <= short_sleep);
    const TimePoint rung = std::min(core_.wake.rung_at(), now);
    if (core_.clock.runs_by_itself())
      head_start_.learn(asleep_since_, rung, now, core_.lanes.accepted() - accepted_then_);
    return rung;
  }

  /// A window has left.
  void next_window() noexcept { head_start_.next_window(); }

  /// True: a ring comes when `wanted` items wait in the lanes, or a head start earlier. False: look
  /// again, there are enough for one of both.
  bool sleep_until(std::uint64_t wanted, bool may_spin) {
    auto& lanes = core_.lanes;
    const std::uint64_t missing = wanted - std::min(wanted, lanes.waiting());
    std::uint64_t ahead = 0;
    if (head_start_.is_rest(missing)) {
      if (may_spin && spin_for_rest(wanted)) return false;
      head_start_.missed();
    } else if (may_spin) {
      if (spin_until(wanted, spins_)) return false;
      ahead = head_start_.take(missing);
    }
    core_.wake.arm();
    armed_ = true;
    if (lanes.arm(wanted - ahead)) {
      lanes.barrier();
      if (lanes.asleep(wanted - ahead)) {
        lanes.mark_round(wanted);
        accepted_then_ = lanes.accepted();
        asleep_since_ = core_.clock.now();
        return true;
      }
    }
    disarm();
    adapt(true);
    return false;
  }

  /// The same for a closed stream: a ring comes when an append that was under way has ended. `left`
  /// items are known to be waiting.
  bool sleep_until_quiet(std::uint64_t left) {
    core_.wake.arm();  // closed lanes ring at every end
    armed_ = true;
    core_.lanes.barrier();
    core_.lanes.refresh();
    const bool more = core_.lanes.waiting() > left;
    if (!more && (left > 0 || !core_.lanes.quiet())) return true;
    disarm();
    return false;
  }

 private:
  void disarm() noexcept {
    armed_ = false;
    core_.wake.disarm();
    if (!core_.closed()) core_.lanes.disarm();
  }

  /// A short wait for what is about to come. A look takes the producers' cache lines away from
  /// them, so the more is missing the rarer it is.
  bool spin_until(std::uint64_t wanted, std::uint64_t spins, TimePoint deadline = never) noexcept {
    const std::uint64_t lanes = core_.lanes.count();
    for (std::uint64_t left = spins;;) {
      const std::uint64_t waiting = core_.lanes.waiting();
      if (waiting >= wanted) return true;
      if (left == 0 || (deadline != never && core_.clock.now() >= deadline)) return false;
      const std::uint64_t rest = std::min(
          left, std::clamp<std::uint64_t>((wanted - waiting) / items_per_pause, 1 + lanes / 8, 64));
      left -= rest;
      for (std::uint64_t i = 0; i < rest; ++i) pause();
    }
  }
  /// The ring has come ahead of the last items.
  bool spin_for_rest(std::uint64_t wanted) noexcept {
    const TimePoint deadline = later(core_.clock.now(), head_start_.patience());
    const bool came = spin_until(wanted, std::numeric_limits<std::uint64_t>::max(), deadline);
    if (came) head_start_.came_in_time();
    return came;
  }
  /// Spinning pays where sleeps are short: what they wait for comes sooner than a thread wakes up.
  void adapt(bool was_short) noexcept {
    spins_ = was_short ? std::clamp(2 * spins_, least_spins, most_spins) : spins_ / 2;
  }

  static constexpr std::uint64_t items_per_pause = 4;
  static constexpr std::uint64_t least_spins = 64;
  static constexpr std::uint64_t most_spins = 1024;
  static constexpr Duration short_sleep = std::chrono::microseconds(50);

  StreamCore<T>& core_;
  std::uint64_t spins_ = 256;
  HeadStart head_start_;
  std::uint64_t accepted_then_ = 0;  // when it fell asleep ...
  TimePoint asleep_since_{};         // ... which was then
  bool armed_ = false;
};

}  // namespace microbatch::inline v0_1::detail
