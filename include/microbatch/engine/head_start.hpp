#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <utility>

#include "../core/clock.hpp"

namespace microbatch::inline v0_1::detail {

/// How many items before the last one of a window a sleeping engine is rung, so that it is awake
/// when the last one comes: as many as come while a thread wakes up.
///
/// The engine spins for the rest, twice as long as waking up takes at the most. A rest that does
/// not come by then has cost a wake-up for nothing: the next windows are rung for when they are
/// full, more of them after each miss.
///
/// Threads: whoever holds the token.
class HeadStart {
 public:
  /// A sleep that began at `asleep` was ended by a ring at `rung`; the engine ran at `awake`, and
  /// `came` items had come.
  void learn(TimePoint asleep, TimePoint rung, TimePoint awake, std::uint64_t came) noexcept {
    if (rung >= awake || asleep >= awake) return;
    const double took = nanoseconds(std::min(awake - rung, longest));
    wake_up_ns_ = wake_up_ns_ == 0 ? took : wake_up_ns_ + (took - wake_up_ns_) / 8;
    items_per_ns_ = static_cast<double>(came) / nanoseconds(awake - asleep);
  }

  /// A window has left: the next sleep is for another one.
  void next_window() noexcept { decided_ = false; }

  /// For a sleep that `missing` items are to end: how many earlier it is to end.
  [[nodiscard]] std::uint64_t take(std::uint64_t missing) noexcept {
    if (!std::exchange(decided_, true)) decide(missing);
    return on_ ? static_cast<std::uint64_t>(meanwhile()) + 1 : 0;
  }

  /// The engine has slept for this window, and what is still missing comes sooner than it could
  /// sleep and wake up again.
  [[nodiscard]] bool is_rest(std::uint64_t missing) const noexcept {
    return decided_ && on_ && static_cast<double>(missing) <= 2 * meanwhile() + 1;
  }
  /// How long to wait for it.
  [[nodiscard]] Duration patience() const noexcept {
    return Duration(static_cast<Duration::rep>(2 * wake_up_ns_));
  }
  void came_in_time() noexcept { misses_ /= 2; }
  void missed() noexcept {
    on_ = false;
    pass_ = misses_ = std::min(2 * misses_ + 1, most_passed);
  }

 private:
  [[nodiscard]] static double nanoseconds(Duration d) noexcept {
    return static_cast<double>(d.count());
  }

  /// Items that come while a thread wakes up.
  [[nodiscard]] double meanwhile() const noexcept { return items_per_ns_ * wake_up_ns_; }

  /// Not where items come too slowly to be waited for, or so fast that the wait were no small part
  /// of the window's time.
  void decide(std::uint64_t missing) noexcept {
    on_ = meanwhile() >= 1 && meanwhile() < static_cast<double>(missing / least_sleep);
    if (!on_ || pass_ == 0) return;
    --pass_;
    on_ = false;
  }

  static constexpr Duration longest = std::chrono::microseconds(100);
  static constexpr int most_passed = 63;
  static constexpr std::uint64_t least_sleep = 8;  // wake-ups

  double wake_up_ns_ = 0;  // from the ring to the turn: a moving mean
  double items_per_ns_ = 0;
  bool decided_ = false;  // for this window, which is ...
  bool on_ = false;       // ... rung for early
  int misses_ = 0;        // grows with each miss, shrinks with each hit
  int pass_ = 0;          // windows that get none
};

}  // namespace microbatch::inline v0_1::detail
