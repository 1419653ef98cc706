#pragma once

#include <cstddef>
#include <functional>
#include <utility>

#include "../concepts/emitter.hpp"
#include "check.hpp"
#include "tunable.hpp"

namespace microbatch::inline v0_1 {

/// A window of exactly n items; smaller only by flush, close or capacity.
///
/// Errors: ConfigError for a size of 0 (and for one above the stream's capacity, when it is
/// attached).
///
///     items    1 2 3 4 5 6 7          CountWindow{3}
///     windows [1 2 3][4 5 6] 7...
class CountWindow {
 public:
  explicit CountWindow(std::size_t size) : size_(detail::checked_size("CountWindow: size", size)) {}

  template <class T>
  Readiness window_ready(Pending<T>& pending, TimePoint) const noexcept {
    const std::size_t size = size_.get();
    return {
        .ready = pending.size() >= size, .reason = Reason::count, .limit = size, .at_items = size};
  }

  /// Takes effect for the next window; any thread.
  void set_size(std::size_t size) { size_.set(detail::checked_size("CountWindow: size", size)); }
  [[nodiscard]] std::size_t size() const noexcept { return size_.get(); }

  void on_retune(std::function<void()> f) { size_.on_change(std::move(f)); }

 private:
  detail::Tunable<std::size_t> size_;
};

}  // namespace microbatch::inline v0_1
