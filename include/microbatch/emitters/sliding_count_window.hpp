#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>

#include "../concepts/emitter.hpp"
#include "check.hpp"

namespace microbatch::inline v0_1 {

/// The last `size` items, every `slide` items. The first `slide` items of a window leave with it,
/// the others are copied and stay for the next one; by flush, close or capacity everything leaves.
///
/// Costs a copy per item for each further window that it is in: size / slide - 1 of them. Rejecting
/// an item that was copied changes nothing: the window with which it leaves judges it.
/// Errors: ConfigError for a slide of 0 or above the size; an item that cannot be copied does not
/// compile; a copy that throws goes to on_error, and the window waits for the next item.
///
///     items    1 2 3 4 5 6 7 8        SlidingCountWindow{4, 2}
///     windows [1 2 3 4]
///                 [3 4 5 6]
///                     [5 6 7 8]
class SlidingCountWindow {
 public:
  static constexpr bool overlaps = true;
  static constexpr Combines combines = Combines::none;

  SlidingCountWindow(std::size_t size, std::size_t slide)
      : size_(detail::checked_size("SlidingCountWindow: size", size)), slide_(slide) {
    if (slide < 1 || slide > size)
      throw ConfigError(fmt::format(
          "SlidingCountWindow: slide must be from 1 to the size, {}, got {}", size, slide));
  }

  template <class T>
  Readiness window_ready(Pending<T>& pending, TimePoint) const noexcept {
    return {.ready = pending.size() >= size_,
            .reason = Reason::count,
            .limit = size_,
            .at_items = size_};
  }
  template <class T>
  void query(Pending<T>& pending, Draft<T>& draft, const Readiness& readiness) const {
    if (!readiness.ready) return draft.take_front(std::min(readiness.limit, pending.size()));
    draft.take_front(slide_);
    draft.copy_front(size_ - slide_);
  }

 private:
  std::size_t size_;
  std::size_t slide_;
};

}  // namespace microbatch::inline v0_1
