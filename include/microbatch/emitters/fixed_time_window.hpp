#pragma once

#include <cstddef>
#include <optional>

#include "../concepts/emitter.hpp"
#include "check.hpp"

namespace microbatch::inline v0_1 {

/// What a FixedTimeWindow with empty windows does about the cells that a late consumer missed.
enum class Late : std::uint8_t {
  catch_up,  ///< every missed cell gets its window, the empty ones too
  skip,      ///< missed cells without items get none
};

struct FixedTimeOptions {
  bool empty_windows = false;  ///< also emit the cells in which nothing arrived
  Late late = Late::catch_up;
  std::optional<TimePoint> origin{};  ///< where a cell begins; default: the consumer's start
};

/// A fixed grid over arrival time: a window holds exactly the items whose stamp lies in
/// [opened_at, closed_at). None twice, none missing, also when the consumer was late: then every
/// cell with items still gets its own window. A flush splits a cell; the parts share its bounds.
///
/// Needs arrival stamps: each append reads the clock once.
///
///     seconds  0    1    2    3    4       FixedTimeWindow{1s}
///     items    a  b c    d         e
///     windows     [a b][c]  [d]       [e]
class FixedTimeWindow {
 public:
  static constexpr bool needs_stamps = true;
  static constexpr bool narrows = true;

  template <class Rep, class Period>
  explicit FixedTimeWindow(std::chrono::duration<Rep, Period> interval,
                           FixedTimeOptions options = {})
      : interval_(detail::checked_interval("FixedTimeWindow: interval", interval)),
        options_(options) {}

  template <class T>
  Readiness window_ready(Pending<T>& pending, TimePoint now) noexcept {
    if (!started_) {
      started_ = true;
      if (!options_.origin) options_.origin = now;
      cell_ = cell_of(now);
      first_ = true;
    }
    if (first_ && (pending.next_arrival() != never || !pending.empty())) {
      // Items that were there before the consumer: their cells come first.
      cell_ = std::min(cell_, cell_of(pending.empty() ? pending.next_arrival() : pending.stamp(0)));
      first_ = false;
    }
    if (pending.empty())
      pass_empty_cells(pending, now);
    else
      used_ = true;
    const bool complete = pending.complete_before() >= closes();
    const bool empty_wanted = options_.empty_windows && !used_;
    return {.ready = complete && (!pending.empty() || empty_wanted),
            .reason = Reason::interval,
            .at_items = pending.empty() && !options_.empty_windows ? 1 : npos,
            .at = pending.empty() && !options_.empty_windows ? never : closes(),
            .before = closes(),
            .even_if_empty = empty_wanted};
  }

  template <class T>
  void on_emit(Draft<T>& draft, const Readiness& readiness) noexcept {
    draft.set_bounds(opens(), closes());
    if (readiness.ready && readiness.reason == Reason::interval && draft.empty()) used_ = true;
  }

 private:
  [[nodiscard]] std::int64_t cell_of(TimePoint t) const noexcept {
    const Duration since = t - *options_.origin;
    const std::int64_t cell = since / interval_;
    return since % interval_ < Duration::zero() ? cell - 1 : cell;
  }
  [[nodiscard]] TimePoint opens() const noexcept { return *options_.origin + cell_ * interval_; }
  [[nodiscard]] TimePoint closes() const noexcept { return opens() + interval_; }

  /// Nothing is pending: cells that are complete are over, and ahead lies the first one with an
  /// item or, if there is none, the present one.
  template <class T>
  void pass_empty_cells(Pending<T>& pending, TimePoint now) noexcept {
    if (pending.complete_before() < closes()) return;
    if (options_.empty_windows && !used_) return;  // its own window comes first
    used_ = false;
    ++cell_;
    const std::int64_t ahead = std::min(cell_of(pending.next_arrival()), cell_of(now));
    if (!options_.empty_windows || options_.late == Late::skip) cell_ = std::max(cell_, ahead);
  }

  Duration interval_;
  FixedTimeOptions options_;
  bool started_ = false;
  bool first_ = false;
  bool used_ = false;  // the present cell has had a window, or has items
  std::int64_t cell_ = 0;
};

}  // namespace microbatch::inline v0_1
