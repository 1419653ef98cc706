#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "clock.hpp"
#include "results.hpp"

namespace microbatch::inline v0_1 {

/// The ledger, and a little beside it. Every number counts items unless it says otherwise.
///
///   offered  = accepted + refused
///   accepted = delivered + dead_lettered + dropped + handed_back + abandoned + in_flight + pending
///
/// Both hold exactly at rest; while producers run, `accepted` is read once, so the second holds in
/// every snapshot.
struct Stats {
  std::uint64_t offered = 0;
  std::uint64_t accepted = 0;

  std::uint64_t refused_full = 0;
  std::uint64_t refused_closed = 0;
  std::uint64_t refused_timeout = 0;
  std::uint64_t refused_too_large = 0;
  std::uint64_t refused_would_deadlock = 0;

  std::uint64_t delivered = 0;
  std::uint64_t dead_lettered = 0;
  std::array<std::uint64_t, drop_cause_count> dropped_by{};  ///< by DropCause
  std::uint64_t handed_back = 0;
  std::uint64_t abandoned = 0;
  std::uint64_t in_flight = 0;  ///< in a window that has not settled
  std::uint64_t pending = 0;    ///< accepted and not yet in a window

  std::uint64_t windows = 0;                             ///< windows emitted
  std::array<std::uint64_t, reason_count> windows_by{};  ///< by Reason
  std::uint64_t retries = 0;                             ///< attempts after the first
  std::uint64_t bytes = 0;                               ///< weight of what is not settled
  std::uint64_t dead_letters_lost = 0;  ///< dead letters beyond what is kept without a handler

  std::uint64_t windows_in_flight = 0;  ///< windows emitted and not ended
  Duration oldest_pending{};  ///< since the oldest pending item came; 0 without arrival stamps
  Duration oldest_window{};   ///< since the oldest window in flight was emitted; 0 without one

  [[nodiscard]] std::uint64_t refused() const noexcept {
    return refused_full + refused_closed + refused_timeout + refused_too_large +
           refused_would_deadlock;
  }
  [[nodiscard]] std::uint64_t dropped() const noexcept {
    std::uint64_t sum = 0;
    for (auto n : dropped_by) sum += n;
    return sum;
  }
  [[nodiscard]] std::uint64_t dropped(DropCause cause) const noexcept {
    return dropped_by[static_cast<std::size_t>(cause)];
  }
  [[nodiscard]] std::uint64_t windows_with(Reason reason) const noexcept {
    return windows_by[static_cast<std::size_t>(reason)];
  }
  [[nodiscard]] std::uint64_t settled() const noexcept {
    return delivered + dead_lettered + dropped() + handed_back + abandoned;
  }
  [[nodiscard]] bool balances() const noexcept {
    return offered == accepted + refused() && accepted == settled() + in_flight + pending;
  }
};

}  // namespace microbatch::inline v0_1
