#pragma once

#include <functional>
#include <utility>

#include "../concepts/emitter.hpp"
#include "check.hpp"
#include "tunable.hpp"

namespace microbatch::inline v0_1 {

/// A window when its oldest item has waited for `age`, with everything that is pending then. The
/// clock starts with the item, not with the last window: compare PeriodWindow.
///
/// Needs arrival stamps: each append reads the clock once.
///
///     seconds  0    1    2    3    4       MaxAgeWindow{2s}
///     items      a b          c
///     windows          [a b]       [c]     2 s after a, 2 s after c
class MaxAgeWindow {
 public:
  static constexpr bool needs_stamps = true;

  template <class Rep, class Period>
  explicit MaxAgeWindow(std::chrono::duration<Rep, Period> age)
      : age_(detail::checked_interval("MaxAgeWindow: age", age)) {}

  template <class T>
  Readiness window_ready(Pending<T>& pending, TimePoint now) const noexcept {
    if (pending.empty()) return {.reason = Reason::age, .at_items = 1};
    const TimePoint due = detail::later(pending.stamp(0), age_.get());
    return {.ready = now >= due, .reason = Reason::age, .at = due};
  }

  /// Takes effect for what is pending, too; any thread.
  template <class Rep, class Period>
  void set_age(std::chrono::duration<Rep, Period> age) {
    age_.set(detail::checked_interval("MaxAgeWindow: age", age));
  }
  [[nodiscard]] Duration age() const noexcept { return age_.get(); }

  void on_retune(std::function<void()> f) { age_.on_change(std::move(f)); }

 private:
  detail::Tunable<Duration> age_;
};

}  // namespace microbatch::inline v0_1
