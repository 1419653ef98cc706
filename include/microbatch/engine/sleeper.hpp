#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>

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
  /// Without others that wait for the thread, the time since then is what waking up takes.
  TimePoint wake_up(TimePoint now, bool alone) noexcept {
    if (!armed_) return now;
    disarm();
    adapt(now - asleep_since_ <= short_sleep);
    const TimePoint rung = std::min(std::max(core_.wake.rung_at(), asleep_since_), now);
    if (alone && core_.clock.runs_by_itself())
      head_start_.learn(asleep_since_, rung, now, core_.lanes.accepted() - accepted_then_);
    return rung;
  }

  /// A window has left.
  void next_window() noexcept { head_start_.next_window(); }

  /// True: a ring comes when `wanted` items wait in the lanes. False: look again, some have come.
  bool sleep_until(std::uint64_t wanted, bool may_spin) {
    if (may_spin && spin_until(wanted, spins_)) return false;
    return fall_asleep(wanted);
  }

  /// The same for the items that make a window full; the ring may come a head start earlier. Does
  /// not spin beyond `next`.
  bool sleep_until_full(std::uint64_t wanted, bool may_spin, TimePoint next) {
    const std::uint64_t waiting = core_.lanes.waiting();
    if (waiting >= wanted) return false;
    if (!may_spin) return fall_asleep(wanted);
    if (!head_start_.is_rest(wanted - waiting)) {
      if (spin_until(wanted, spins_)) return false;
      return fall_asleep(wanted - head_start_.choose(wanted - waiting));
    }
    const TimePoint patience = later(core_.clock.now(), head_start_.patience());
    if (spin_until(wanted, most_pauses, std::min(patience, next))) return false;
    if (patience <= next) head_start_.missed();
    return fall_asleep(wanted);
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

  bool fall_asleep(std::uint64_t wanted) {
    auto& lanes = core_.lanes;
    core_.wake.arm();
    armed_ = true;
    if (lanes.arm(wanted)) {
      lanes.barrier();
      if (lanes.asleep(wanted)) {
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

  /// A wait, of so many pauses, for what is about to come. A look takes the producers' cache lines
  /// away from them, so the more is missing the rarer it is.
  bool spin_until(std::uint64_t wanted, std::uint64_t pauses, TimePoint deadline = never) noexcept {
    const auto seldom = std::min<std::uint64_t>(1 + core_.lanes.count() / 8, 64);
    for (std::uint64_t left = pauses;;) {
      const std::uint64_t waiting = core_.lanes.waiting();
      if (waiting >= wanted) return true;
      if (left == 0 || (deadline != never && core_.clock.now() >= deadline)) return false;
      const std::uint64_t rest = std::min(
          left, std::clamp<std::uint64_t>((wanted - waiting) / items_per_pause, seldom, 64));
      left -= rest;
      for (std::uint64_t i = 0; i < rest; ++i) pause();
    }
  }
  /// Spinning pays where sleeps are short: what they wait for comes sooner than a thread wakes up.
  void adapt(bool was_short) noexcept {
    spins_ = was_short ? std::clamp(2 * spins_, least_spins, most_spins) : spins_ / 2;
  }

  static constexpr std::uint64_t items_per_pause = 4;
  static constexpr std::uint64_t least_spins = 64;
  static constexpr std::uint64_t most_spins = 1024;
  static constexpr std::uint64_t most_pauses = 1 << 18;  // where a clock stands still
  static constexpr Duration short_sleep = std::chrono::microseconds(50);

  StreamCore<T>& core_;
  std::uint64_t spins_ = 256;
  HeadStart head_start_;
  std::uint64_t accepted_then_ = 0;  // when it fell asleep ...
  TimePoint asleep_since_{};         // ... which was then
  bool armed_ = false;
};

}  // namespace microbatch::inline v0_1::detail
