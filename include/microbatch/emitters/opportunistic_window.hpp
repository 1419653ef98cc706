#pragma once

#include <cstddef>

#include "../concepts/emitter.hpp"
#include "check.hpp"

namespace microbatch::inline v0_1 {

/// A window whenever a worker is free, with everything that is pending: single items while the
/// callback keeps up, and the larger the windows the busier it is. The engine asks an emitter only
/// while a worker is free, so there is nothing else to it. A CountWindow beside it bounds the size:
/// any_of(OpportunisticWindow{}, CountWindow{1000}).
///
///     OpportunisticWindow{}        never makes an item wait for another
///     OpportunisticWindow{10}      at least ten, even if a worker has to wait for them
class OpportunisticWindow {
 public:
  explicit OpportunisticWindow(std::size_t at_least = 1)
      : at_least_(detail::checked_size("OpportunisticWindow: at_least", at_least)) {}

  template <class T>
  Readiness window_ready(Pending<T>& pending, TimePoint) const noexcept {
    return {
        .ready = pending.size() >= at_least_, .reason = Reason::free_worker, .at_items = at_least_};
  }

 private:
  std::size_t at_least_;
};

}  // namespace microbatch::inline v0_1
