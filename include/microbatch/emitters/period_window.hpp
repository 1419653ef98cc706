#pragma once

#include "../concepts/emitter.hpp"
#include "check.hpp"

namespace microbatch::inline v0_1 {

/// A window when `period` has passed since the last one (since the start, for the first), with
/// everything that is pending; while nothing is pending it waits for the first item, which then
/// leaves at once. Needs no stamps: compare MaxAgeWindow, which counts from the oldest item.
///
///     seconds  0    1    2    3    4       PeriodWindow{2s}
///     items      a b          c
///     windows            [a b]     [c]
class PeriodWindow {
 public:
  template <class Rep, class Period>
  explicit PeriodWindow(std::chrono::duration<Rep, Period> period)
      : period_(detail::checked_interval("PeriodWindow: period", period)) {}

  template <class T>
  Readiness window_ready(Pending<T>& pending, TimePoint now) noexcept {
    if (!started_) {
      started_ = true;
      last_ = now;
    }
    now_ = now;
    const TimePoint due = detail::later(last_, period_);
    if (pending.empty()) return {.reason = Reason::period, .at_items = 1};
    return {.ready = now >= due, .reason = Reason::period, .at = due};
  }

  template <class T>
  void on_emit(Draft<T>&, const Readiness&) noexcept {
    last_ = now_;
  }

 private:
  Duration period_;
  bool started_ = false;
  TimePoint last_{};
  TimePoint now_{};
};

}  // namespace microbatch::inline v0_1
