#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "../core/pause.hpp"
#include "../stream_core.hpp"

namespace microbatch::detail {

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
    if (!std::exchange(armed_, false)) return now;
    core_.wake.disarm();
    if (!core_.closed()) core_.lanes.disarm();
    return std::min(core_.wake.rung_at(), now);
  }

  /// True: a ring comes when `wanted` more items wait in the lanes. False: they do already.
  bool sleep_until(std::uint64_t wanted, bool may_spin) {
    if (may_spin && spin_until(wanted)) return false;
    auto& lanes = core_.lanes;
    core_.wake.arm();
    armed_ = true;
    if (lanes.arm(wanted)) {
      lanes.barrier();
      if (lanes.asleep(wanted)) {
        lanes.mark_round();
        return true;
      }
    }
    (void)wake_up(never);
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
    (void)wake_up(never);
    return false;
  }

 private:
  /// A short wait for what is about to come: longer while that pays off, and given up quickly.
  bool spin_until(std::uint64_t wanted) noexcept {
    const std::size_t looks =
        1 + core_.lanes.count() / 8;  // a look costs as much as there are lanes
    for (std::size_t i = 0; i < spins_; i += looks) {
      if (core_.lanes.waiting() >= wanted) {
        spins_ = std::min(most_spins, spins_ * 2);
        return true;
      }
      pause();
    }
    spins_ = std::max(least_spins, spins_ / 2);
    return false;
  }

  static constexpr std::size_t least_spins = 32;
  static constexpr std::size_t most_spins = 2048;

  StreamCore<T>& core_;
  std::size_t spins_ = 256;
  bool armed_ = false;
};

}  // namespace microbatch::detail
