#pragma once

#include <chrono>
#include <span>
#include <stdexcept>
#include <stop_token>
#include <utility>

#include "../concepts/lending.hpp"

namespace microbatch::inline v0_1::detail {

/// Lets another process handle these items, and waits for it: true, it has committed them. False:
/// nobody wanted them. Throws what the callback threw there, as a text.
///
/// The window stays with the consumer that has formed it, and so does its failure policy; what is
/// lent is the call.
template <LendingStorage S>
bool lent(S& store, std::uint64_t token, std::span<const ItemRun> runs, Duration time,
          const std::stop_token& stop) {
  using Is = LoanState::Is;
  if (!store.loans_wanted()) return false;
  const std::int64_t id = store.offer(token, runs);
  const std::stop_callback wake(stop, [&] { store.wake(Bell::lent); });
  const TimePoint patience = later(steady_clock().now(), std::chrono::milliseconds(10));
  for (;;) {
    const std::uint64_t seen = store.notice(Bell::lent);
    LoanState state = store.loan(id);
    const TimePoint now = steady_clock().now();
    const bool enough = stop.stop_requested() || (state.is == Is::offered && now >= patience);
    if (!enough && (state.is == Is::offered || state.is == Is::borrowed)) {
      store.wait(Bell::lent, seen, state.is == Is::offered ? patience : later(now, time / 4));
      continue;
    }
    state = store.take_back(id);
    switch (state.is) {
      case Is::delivered:
        return true;
      case Is::offered:
        return false;
      case Is::failed:
        if (state.failure == Failure::transient) throw TransientError(state.error);
        throw std::runtime_error(state.error);
      case Is::borrowed:
        throw StorageError("durable stream: what was lent is taken back");
      case Is::lost:
        throw std::runtime_error("the process that handled it has died, or stands still");
    }
  }
}

}  // namespace microbatch::inline v0_1::detail
