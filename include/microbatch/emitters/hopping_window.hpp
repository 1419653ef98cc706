#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>

#include "../concepts/emitter.hpp"
#include "arrival_time.hpp"
#include "check.hpp"
#include "pane_state.hpp"

namespace microbatch::inline v0_1 {

namespace detail {

template <class R, class P, class R2, class P2>
HoppingShape hopping(std::chrono::duration<R, P> size, std::chrono::duration<R2, P2> hop) {
  const HoppingShape shape{{{checked_interval("HoppingWindow: size", size),
                             checked_interval("HoppingWindow: hop", hop)}}};
  if (shape.hop > shape.size)
    throw ConfigError(
        fmt::format("HoppingWindow: hop must be at most the size, {} ns, got {} ns (items between "
                    "two windows would be in none)",
                    shape.size.count(), shape.hop.count()));
  return shape;
}

}  // namespace detail

template <class Timestamp = ArrivalTime>
class HoppingWindow;

/// Every `hop`, the items that arrived in the last `size`: window k holds those whose arrival stamp
/// lies in [origin + k hop, origin + k hop + size), half open, also when the consumer was late.
/// Windows without items are not emitted. An item leaves with the last window that holds it and is
/// copied into the others. A flush takes everything and thereby splits the windows under way.
///
/// Needs arrival stamps; costs size / hop - 1 copies per item. Errors: ConfigError for a hop of 0
/// or above the size.
///
///     seconds  0    1    2    3    4       HoppingWindow{2s, 1s}
///     items    a  b c   d      e
///     windows [a b ][c  d]
///                  [  d  ][ e ]...         [-1, 1) [0, 2) [1, 3) [2, 4) ...
template <>
class HoppingWindow<ArrivalTime> {
 public:
  static constexpr bool needs_stamps = true;
  static constexpr bool narrows = true;
  static constexpr bool overlaps = true;
  static constexpr Combines combines = Combines::none;

  template <class R, class P, class R2, class P2>
  HoppingWindow(std::chrono::duration<R, P> size, std::chrono::duration<R2, P2> hop)
      : HoppingWindow(detail::hopping(size, hop), std::nullopt) {}
  template <class R, class P, class R2, class P2>
  HoppingWindow(std::chrono::duration<R, P> size, std::chrono::duration<R2, P2> hop,
                TimePoint origin)
      : HoppingWindow(detail::hopping(size, hop), origin) {}

  template <class T>
  Readiness window_ready(Pending<T>& pending, TimePoint now) noexcept {
    if (!started_) start(pending, now);
    if (pending.empty() && pending.complete_before() >= closes())
      window_ = std::max(window_, first_with(std::min(pending.next_arrival(), now)));
    return {.ready = !pending.empty() && pending.complete_before() >= closes(),
            .reason = Reason::interval,
            .at_items = pending.empty() ? 1 : npos,
            .at = pending.empty() ? never : closes(),
            .before = closes()};
  }
  template <class T>
  void query(Pending<T>& pending, Draft<T>& draft, const Readiness& readiness) {
    if (!readiness.ready) return draft.take_front(std::min(readiness.limit, pending.size()));
    std::size_t leaving = 0;  // those that the next window does not hold
    for (std::size_t span = pending.size(); span > 0;) {
      const std::size_t half = span / 2;
      if (pending.stamp(leaving + half) < opens() + hop_) {
        leaving += half + 1;
        span -= half + 1;
      } else {
        span = half;
      }
    }
    draft.take_front(leaving);
    draft.copy_front(pending.size() - leaving);
  }
  template <class T>
  void on_emit(Draft<T>& draft, const Readiness& readiness) noexcept {
    draft.set_bounds(opens(), closes());
    if (readiness.ready) ++window_;
  }

 private:
  HoppingWindow(const detail::HoppingShape& shape, std::optional<TimePoint> origin)
      : size_(shape.size), hop_(shape.hop), origin_(origin) {}

  [[nodiscard]] TimePoint opens() const noexcept { return *origin_ + window_ * hop_; }
  [[nodiscard]] TimePoint closes() const noexcept { return opens() + size_; }
  /// The first window that closes after t.
  [[nodiscard]] std::int64_t first_with(TimePoint t) const noexcept {
    return detail::floor_div((t - *origin_) - size_, hop_) + 1;
  }
  template <class T>
  void start(Pending<T>& pending, TimePoint now) noexcept {
    started_ = true;
    if (!origin_) origin_ = now;
    const TimePoint first = pending.empty() ? pending.next_arrival() : pending.stamp(0);
    window_ = first_with(std::min(first, now));
  }

  Duration size_;
  Duration hop_;
  std::optional<TimePoint> origin_;
  bool started_ = false;
  std::int64_t window_ = 0;
};

/// Every `hop` of event time, the items of the last `size`: window k holds those whose timestamp
/// lies in [origin + k hop, origin + k hop + size). It leaves when the watermark has passed its
/// end; see TumblingWindow for what the watermark is, and what becomes of late items.
///
/// Costs size / hop - 1 copies per item. Where only an aggregate is wanted, the operators
/// (microbatch/operators) keep one partial aggregate per hop instead. Errors: ConfigError for a hop
/// of 0 or above the size.
template <class Timestamp>
class HoppingWindow
    : public detail::EventWindows<detail::PaneState, detail::HoppingShape, Timestamp> {
 public:
  template <class R, class P, class R2, class P2>
  HoppingWindow(std::chrono::duration<R, P> size, std::chrono::duration<R2, P2> hop,
                Timestamp timestamp, EventTimeOptions options = {})
      : HoppingWindow::EventWindows(detail::hopping(size, hop), std::move(timestamp), {}, options) {
  }
};

template <class R, class P, class R2, class P2>
HoppingWindow(std::chrono::duration<R, P>, std::chrono::duration<R2, P2>)
    -> HoppingWindow<ArrivalTime>;
template <class R, class P, class R2, class P2>
HoppingWindow(std::chrono::duration<R, P>, std::chrono::duration<R2, P2>, TimePoint)
    -> HoppingWindow<ArrivalTime>;
template <class R, class P, class R2, class P2, class F>
HoppingWindow(std::chrono::duration<R, P>, std::chrono::duration<R2, P2>, F) -> HoppingWindow<F>;
template <class R, class P, class R2, class P2, class F>
HoppingWindow(std::chrono::duration<R, P>, std::chrono::duration<R2, P2>, F, EventTimeOptions)
    -> HoppingWindow<F>;

}  // namespace microbatch::inline v0_1
