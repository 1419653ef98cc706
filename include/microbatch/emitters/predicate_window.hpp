#pragma once

#include <concepts>
#include <cstdint>
#include <exception>
#include <functional>
#include <utility>

#include "../concepts/emitter.hpp"

namespace microbatch::inline v0_1 {

/// The item for which p(item) is true closes the window and is its last. Each item is asked once.
///
/// Errors: a predicate that throws counts as false for that item; the error goes to
/// ConsumerOptions::on_error.
///
///     items    a b ; c ; d            PredicateWindow{[](auto c) { return c == ';'; }}
///     windows [a b ;][c ;] d...
template <class Predicate>
class PredicateWindow {
 public:
  explicit PredicateWindow(Predicate predicate) : predicate_(std::move(predicate)) {}

  template <class T>
  Readiness window_ready(Pending<T>& pending, TimePoint) {
    static_assert(
        std::predicate<Predicate&, const T&>,
        "microbatch: a PredicateWindow's predicate must take a const item and return bool");
    const std::uint64_t first = pending.first_position();
    if (cursor_ < first) cursor_ = first;
    if (match_ < first) match_ = none;
    std::exception_ptr error;
    while (match_ == none && cursor_ < pending.end_position()) {
      const std::uint64_t here = cursor_++;
      try {
        if (std::invoke(predicate_, std::as_const(pending[static_cast<std::size_t>(here - first)])))
          match_ = here;
      } catch (...) {
        if (!error) error = std::current_exception();
      }
    }
    if (match_ == none)
      return {.reason = Reason::predicate, .at_items = pending.size() + 1, .error = error};
    return {.ready = true,
            .reason = Reason::predicate,
            .limit = static_cast<std::size_t>(match_ - first + 1),
            .error = error};
  }

 private:
  static constexpr std::uint64_t none = ~std::uint64_t{0};

  Predicate predicate_;
  std::uint64_t cursor_ = 0;
  std::uint64_t match_ = none;
};

}  // namespace microbatch::inline v0_1
