#pragma once

#include <cstddef>
#include <exception>
#include <limits>

#include "clock.hpp"
#include "results.hpp"

namespace microbatch::inline v0_1 {

/// An emitter's verdict. The sweep goes by its limits, the engine sleeps by its wake-ups.
struct Readiness {
  static constexpr std::size_t npos = std::numeric_limits<std::size_t>::max();

  bool ready = false;
  Reason reason = Reason::none;
  std::size_t limit =
      npos;  ///< at most so many of the front leave together: told always, ready or not
  std::size_t at_items = npos;  ///< ask me again when so many are pending
  TimePoint at = never;         ///< ... or at this time
  TimePoint before = never;     ///< show me only what arrived before this
  std::exception_ptr error{};   ///< what went wrong with an item: goes to on_error, once
  bool even_if_empty = false;   ///< emit a window although no item is in it
};

}  // namespace microbatch::inline v0_1
