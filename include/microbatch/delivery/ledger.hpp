#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "../core/results.hpp"
#include "../core/stats.hpp"

namespace microbatch::inline v0_1::detail {

/// The books on what has left the lanes, in the words of Stats, which a snapshot fills in.
///
/// Threads: whoever holds the token.
struct Ledger {
  std::uint64_t delivered = 0;
  std::uint64_t dead_lettered = 0;
  std::array<std::uint64_t, drop_cause_count> dropped_by{};
  std::uint64_t handed_back = 0;
  std::uint64_t abandoned = 0;
  std::uint64_t in_flight = 0;
  std::uint64_t windows = 0;
  std::array<std::uint64_t, reason_count> windows_by{};
  std::uint64_t retries = 0;

  void count(Outcome outcome, DropCause cause, std::size_t n) noexcept {
    switch (outcome) {
      case Outcome::delivered:
        delivered += n;
        break;
      case Outcome::dead_lettered:
        dead_lettered += n;
        break;
      case Outcome::dropped:
        dropped_by[static_cast<std::size_t>(cause)] += n;
        break;
      case Outcome::handed_back:
        handed_back += n;
        break;
      case Outcome::abandoned:
        abandoned += n;
        break;
    }
  }
  [[nodiscard]] std::uint64_t dropped(DropCause cause) const noexcept {
    return dropped_by[static_cast<std::size_t>(cause)];
  }

  [[nodiscard]] Stats stats() const noexcept {
    return {.delivered = delivered,
            .dead_lettered = dead_lettered,
            .dropped_by = dropped_by,
            .handed_back = handed_back,
            .abandoned = abandoned,
            .in_flight = in_flight,
            .windows = windows,
            .windows_by = windows_by,
            .retries = retries};
  }
};

}  // namespace microbatch::inline v0_1::detail
