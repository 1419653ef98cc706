#pragma once

#include <algorithm>
#include <cstddef>
#include <utility>

#include "../concepts/emitter.hpp"
#include "check.hpp"

namespace microbatch::inline v0_1 {

struct RelaxedTimeOptions {
  /// No window holds more.
  std::size_t max_items = npos;
  /// With max_items: windows until nothing is left at each tick, instead of one.
  bool all_per_tick = false;
};

/// At every tick of a driftless grid, a window of whatever is there. Ticks at which nothing is
/// pending, and ticks that a busy callback slept through, pass without a window: a late consumer
/// emits one at once and goes on with the next tick. Tick k is at start + k * interval.
///
///     seconds  0    1    2    3       RelaxedTimeWindow{1s}
///     items     a b   c         d
///     windows      [a b][c]          [d]
class RelaxedTimeWindow {
 public:
  template <class Rep, class Period>
  explicit RelaxedTimeWindow(std::chrono::duration<Rep, Period> interval,
                             RelaxedTimeOptions options = {})
      : interval_(detail::checked_interval("RelaxedTimeWindow: interval", interval)),
        options_(options) {
    if (options.max_items != npos)
      detail::checked_size("RelaxedTimeWindow: max_items", options.max_items);
  }

  template <class T>
  Readiness window_ready(Pending<T>& pending, TimePoint now) noexcept {
    if (!started_) {
      started_ = true;
      start_ = now;
      next_after(now);
    }
    now_ = now;
    Readiness readiness{.reason = Reason::interval, .limit = options_.max_items};
    if (pending.empty()) {
      idle_ = true;
      readiness.at_items = 1;  // an idle grid needs no ticks
      return readiness;
    }
    if (std::exchange(idle_, false)) next_after(std::max(pending.noticed_at(), start_));
    readiness.ready = now >= tick_;
    readiness.at = tick_;
    return readiness;
  }

  template <class T>
  void on_emit(Draft<T>& draft, const Readiness& readiness) noexcept {
    if (!readiness.ready) return;
    // A window that is not full was the last one of its tick.
    if (!options_.all_per_tick || draft.size() < options_.max_items) next_after(now_);
  }

 private:
  /// The first tick after `t`.
  void next_after(TimePoint t) noexcept {
    tick_ = detail::later(start_, ((t - start_) / interval_ + 1) * interval_);
  }

  Duration interval_;
  RelaxedTimeOptions options_;
  bool started_ = false;
  bool idle_ = false;
  TimePoint start_{};
  TimePoint tick_{};
  TimePoint now_{};
};

}  // namespace microbatch::inline v0_1
