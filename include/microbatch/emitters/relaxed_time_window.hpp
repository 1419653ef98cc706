#pragma once

#include <cstddef>

#include "../concepts/emitter.hpp"
#include "check.hpp"

namespace microbatch {

struct RelaxedTimeOptions {
  /// No window holds more.
  std::size_t max_items = npos;
  /// With max_items: windows until nothing is left at each tick, instead of one.
  bool all_per_tick = false;
};

/// At every tick of a driftless grid, a window of whatever is there; ticks with nothing pending, and
/// ticks that a busy callback slept through, pass without one. Tick k is at start + k * interval.
///
///     seconds  0    1    2    3       RelaxedTimeWindow{1s}
///     items     a b   c         d
///     windows      [a b][c]    [d]
class RelaxedTimeWindow {
 public:
  template <class Rep, class Period>
  explicit RelaxedTimeWindow(std::chrono::duration<Rep, Period> interval, RelaxedTimeOptions options = {})
      : interval_(detail::checked_interval("RelaxedTimeWindow: interval", interval)), options_(options) {
    detail::checked_size("RelaxedTimeWindow: max_items", options.max_items == npos ? 1 : options.max_items);
  }

  template <class T>
  Readiness window_ready(Pending<T>& pending, TimePoint now) noexcept {
    if (!started_) {
      started_ = true;
      tick_ = start_ = now;
      advance(now);
    }
    if (pending.empty()) {
      // Nothing to emit: this tick's windows are over, and ticks that passed are forgotten.
      if (now > tick_ || draining_) advance(now);
      draining_ = false;
      return {.reason = Reason::interval, .limit = options_.max_items, .at_items = now >= tick_ ? 1 : npos,
              .at = now >= tick_ ? never : tick_};
    }
    now_ = now;
    return {.ready = now >= tick_ || draining_, .reason = Reason::interval, .limit = options_.max_items,
            .at = tick_};
  }

  template <class T>
  void on_emit(Draft<T>&, const Readiness& readiness) noexcept {
    if (readiness.reason != Reason::interval) return;
    if (options_.all_per_tick) draining_ = true;
    else advance(now_);
  }

 private:
  /// The first tick after `now`.
  void advance(TimePoint now) noexcept {
    tick_ = detail::later(start_, ((now - start_) / interval_ + 1) * interval_);
  }

  Duration interval_;
  RelaxedTimeOptions options_;
  bool started_ = false;
  bool draining_ = false;
  TimePoint start_{};
  TimePoint tick_{};
  TimePoint now_{};
};

}  // namespace microbatch
