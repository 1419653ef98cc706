#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>

#include "../concepts/emitter.hpp"
#include "arrival_time.hpp"
#include "check.hpp"
#include "session_state.hpp"

namespace microbatch::inline v0_1 {

template <class Timestamp = ArrivalTime>
class SessionWindow;

/// A window when nothing has arrived for `gap`: everything since the last such silence. Exact also
/// when the consumer is late, for it looks at the arrival stamps. A limit beside it splits a long
/// session: any_of(SessionWindow{5s}, CountWindow{1000}).
///
/// Needs arrival stamps. By key: by_key(key, SessionWindow{5s}). Errors: ConfigError for a gap of
/// 0.
///
///     seconds  0    1    2    3    4       SessionWindow{1s}
///     items    a  b c         d e
///     windows [a  b c    ]   [d e    ]
template <>
class SessionWindow<ArrivalTime> {
 public:
  static constexpr bool needs_stamps = true;
  static constexpr Combines combines = Combines::any_of;

  template <class R, class P>
  explicit SessionWindow(std::chrono::duration<R, P> gap)
      : gap_(detail::checked_interval("SessionWindow: gap", gap)) {}

  template <class T>
  Readiness window_ready(Pending<T>& pending, TimePoint) noexcept {
    Readiness readiness{.reason = Reason::gap};
    if (pending.empty()) {
      readiness.limit = readiness.at_items = 1;  // its session tells how much more to show
      return readiness;
    }
    const std::uint64_t first = pending.first_position();
    std::uint64_t at = cursor_;
    if (at <= first) {
      at = first + 1;
      ends_ = false;
    }
    for (; !ends_ && at < pending.end_position(); at += ends_ ? 0 : 1) {
      const auto i = static_cast<std::size_t>(at - first);
      ends_ = pending.stamp(i) >= detail::later(pending.stamp(i - 1), gap_);
    }
    cursor_ = at & last_position;
    if (ends_) {
      readiness.ready = true;
      readiness.limit = static_cast<std::size_t>(at - first);
      return readiness;
    }
    readiness.at = readiness.before = detail::later(pending.stamp(pending.size() - 1), gap_);
    readiness.ready = pending.complete_before() >= readiness.at;
    return readiness;
  }

 private:
  static constexpr std::uint64_t last_position = ~std::uint64_t{0} >> 1;

  Duration gap_;                   // by key there may be a million of these
  std::uint64_t cursor_ : 63 = 0;  // items before it have been compared with the one before them
  bool ends_ : 1 = false;          // the session, before the item at cursor_
};

/// A window when the watermark has passed the last item of a session by `gap`: items whose
/// timestamps follow each other by less than that. An item may join two sessions into one. See
/// TumblingWindow for what the watermark is, and what becomes of late items; an item that still
/// meets an open session is not late. Window::event_bounds() is from the first item until `gap`
/// after the last.
template <class Timestamp>
class SessionWindow : public detail::SessionWindows<Timestamp> {
 public:
  template <class R, class P>
  SessionWindow(std::chrono::duration<R, P> gap, Timestamp timestamp, EventTimeOptions options = {})
      : detail::SessionWindows<Timestamp>({detail::checked_interval("SessionWindow: gap", gap)},
                                          std::move(timestamp), {}, options) {}
};

template <class R, class P>
SessionWindow(std::chrono::duration<R, P>) -> SessionWindow<ArrivalTime>;
template <class R, class P, class F>
SessionWindow(std::chrono::duration<R, P>, F) -> SessionWindow<F>;
template <class R, class P, class F>
SessionWindow(std::chrono::duration<R, P>, F, EventTimeOptions) -> SessionWindow<F>;

}  // namespace microbatch::inline v0_1
