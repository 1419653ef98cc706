#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

#include "../core/clock.hpp"

namespace microbatch::inline v0_1::detail {

/// How many items before the last one of a window a sleeping engine is rung, so that it is awake
/// when the last one comes: as many as come while a thread wakes up.
///
/// The engine spins for the rest, at most twice as long as waking up takes. A rest that does not
/// come by then has cost a wake-up for nothing: the next windows are rung for when they are full,
/// more of them after each miss.
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

  /// A window has left: what follows is for another one.
  void next_window() noexcept {
    if (on_) misses_ /= 2;
    decided_ = on_ = false;
  }

  /// For a sleep that `missing` items are to end: how many earlier it is to end. The first sleep
  /// for a good part of the window decides for all of it.
  [[nodiscard]] std::uint64_t choose(std::uint64_t missing) noexcept {
    if (!decided_ && missing >= 2 * least_sleep) {
      decided_ = true;
      decide(missing);
    }
    return on_ ? static_cast<std::uint64_t>(meanwhile()) + 1 : 0;
  }

  /// This window is rung for early, and what is still missing comes sooner than the engine could
  /// sleep and wake up again.
  [[nodiscard]] bool is_rest(std::uint64_t missing) const noexcept {
    return on_ && static_cast<double>(missing) <= 2 * meanwhile() + 1;
  }
  /// How long to wait for the rest.
  [[nodiscard]] Duration patience() const noexcept {
    return Duration(static_cast<Duration::rep>(2 * wake_up_ns_));
  }
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
  int misses_ = 0;        // grows with each miss, shrinks with each window that had none
  int pass_ = 0;          // windows that are not rung for early
};

}  // namespace microbatch::inline v0_1::detail
