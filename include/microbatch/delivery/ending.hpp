#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <utility>

#include "batch.hpp"
#include "settlement.hpp"

namespace microbatch::inline v0_1::detail {

/// How items that are in a window end: Settlement, and the batch's own count of what is left of it.
///
/// Threads: whoever holds the token.
template <class T>
class Ending {
 public:
  explicit Ending(Settlement<T>& settlement) noexcept : settlement_(settlement) {}

  void end(Batch<T>& batch, std::size_t from, std::size_t to, Outcome outcome,
           std::exception_ptr error = nullptr, DropCause cause = DropCause::newest) {
    to = std::min(to, batch.owned());
    if (from >= to) return;
    const std::size_t n = to - from;
    settlement_.settle(batch.items.slots(), batch.items.slot(from), n, outcome, std::move(error),
                       cause);
    settlement_.ledger.in_flight -= n;
    batch.unsettled -= n;
    if (n == batch.owned()) return;
    if (batch.ended.empty()) batch.ended.resize(batch.owned(), false);
    const auto first = batch.ended.begin() + static_cast<std::ptrdiff_t>(from);
    std::fill(first, first + static_cast<std::ptrdiff_t>(n), true);
  }

  /// Item i goes to the dead letters; where its own move throws, it is dropped instead.
  void bury(Batch<T>& batch, std::size_t i, std::uint32_t attempts,
            const std::exception_ptr& error) {
    if (i >= batch.owned()) return;  // a copy: a later window, with the original, judges it
    try {
      settlement_.bury({.item = std::move(batch.items[i]),
                        .error = text_of(error),
                        .exception = error,
                        .attempts = attempts,
                        .sequence = batch.info.sequence,
                        .origin = batch.items.slots().origin(batch.items.slot(i))});
    } catch (...) {
      settlement_.report(BackgroundError::Where::item, std::current_exception());
      return end(batch, i, i + 1, Outcome::dropped, error, DropCause::move_threw);
    }
    end(batch, i, i + 1, Outcome::dead_lettered, error);
  }

 private:
  Settlement<T>& settlement_;
};

}  // namespace microbatch::inline v0_1::detail
