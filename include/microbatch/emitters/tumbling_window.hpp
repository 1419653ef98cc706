#pragma once

#include <utility>

#include "check.hpp"
#include "pane_state.hpp"

namespace microbatch::inline v0_1 {

/// A fixed grid over event time: a window holds the items whose timestamp lies in [begin, end), and
/// leaves when the watermark (see watermark.hpp) has passed its end. Items may come in any order.
///
/// `timestamp` takes a const item and returns a std::chrono::sys_time, a duration since 1970, or an
/// optional of one. Window::event_bounds() tells the bounds, Window::reason() which window it is:
///
///   watermark  everything of that time, as far as the watermark knows
///   late       items that met a watermark behind their window's end, but within allowed_lateness:
///              the same bounds once more, for callbacks that can add to what they had
///   too_late   later than that: the side output, without bounds
///   unplaced   no usable time (none, before 1970, after 2116, further ahead than max_jump; the
///              function threw): the side output, too
///   flush, close, capacity   a part of a window that was not over yet
///
/// Lateness is judged by the watermark that an item meets in the order of arrival, however it was
/// swept. Windows without items are not emitted. Waiting items count against the stream's capacity:
/// where that is too small for the windows under way, the oldest leaves early, by capacity.
///
///     minutes  0         1         2          TumblingWindow{1min, &Click::time,
///     items    0:10 0:50 0:40 1:05 0:55 1:20             {.out_of_orderness = 20s}}
///     windows [0:10 0:50 0:40 0:55]           once 1:20 has come
template <class Timestamp>
class TumblingWindow
    : public detail::EventWindows<detail::PaneState, detail::PaneShape, Timestamp> {
 public:
  template <class R, class P>
  TumblingWindow(std::chrono::duration<R, P> size, Timestamp timestamp,
                 EventTimeOptions options = {})
      : TumblingWindow::EventWindows(shape_of(size), std::move(timestamp), {}, options) {}

 private:
  template <class R, class P>
  static detail::PaneShape shape_of(std::chrono::duration<R, P> size) {
    const Duration whole = detail::checked_interval("TumblingWindow: size", size);
    return {{whole, whole}};
  }
};

template <class R, class P, class F>
TumblingWindow(std::chrono::duration<R, P>, F) -> TumblingWindow<F>;
template <class R, class P, class F>
TumblingWindow(std::chrono::duration<R, P>, F, EventTimeOptions) -> TumblingWindow<F>;

}  // namespace microbatch::inline v0_1
