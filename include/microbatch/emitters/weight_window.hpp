#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <type_traits>
#include <utility>
#include <vector>

#include "../concepts/emitter.hpp"
#include "../core/weight.hpp"
#include "check.hpp"
#include "tunable.hpp"

namespace microbatch::inline v0_1 {

/// Take the weights that the stream's own weight function stored.
struct StoredWeight {};

namespace detail {

/// The sums of a run of weights from some position on, so that the weight of any stretch is one
/// subtraction. A ring: it allocates only while the longest run grows.
class RunningSums {
 public:
  [[nodiscard]] std::uint64_t end() const noexcept { return begin_ + count_; }
  void restart(std::uint64_t position) noexcept {
    begin_ = position;
    count_ = 0;
    base_ = last_;
  }
  void forget_before(std::uint64_t position) noexcept {
    base_ = before(position);
    count_ -= static_cast<std::size_t>(position - begin_);
    begin_ = position;
  }
  void push(std::uint64_t weight) {
    if (count_ + 1 > sums_.size()) grow();
    const std::uint64_t sum = before(end()) + weight;
    at(end()) = sum;
    ++count_;
    last_ = sum;
  }
  /// The weight of [from, to), both within what was pushed.
  [[nodiscard]] std::uint64_t weight(std::uint64_t from, std::uint64_t to) const noexcept {
    return before(to) - before(from);
  }

 private:
  [[nodiscard]] std::uint64_t& at(std::uint64_t p) noexcept {
    return sums_[static_cast<std::size_t>(p) & (sums_.size() - 1)];
  }
  /// Sum of everything before p.
  [[nodiscard]] std::uint64_t before(std::uint64_t p) const noexcept {
    if (p == end()) return last_;
    if (p == begin_) return base_;
    return sums_[static_cast<std::size_t>(p - 1) & (sums_.size() - 1)];
  }
  void grow() {
    std::vector<std::uint64_t> larger(std::max<std::size_t>(64, sums_.size() * 2));
    for (std::uint64_t p = begin_; p != end(); ++p)
      larger[static_cast<std::size_t>(p) & (larger.size() - 1)] = at(p);
    sums_.swap(larger);
  }

  std::vector<std::uint64_t> sums_;
  std::uint64_t begin_ = 0;
  std::size_t count_ = 0;
  std::uint64_t base_ = 0;
  std::uint64_t last_ = 0;
};

}  // namespace detail

/// A window that weighs as much as fits into `limit` (bytes, rows, tokens: whatever the weight
/// function counts). It is ready when the next item would not fit, or when the limit is met
/// exactly. An item heavier than the limit goes alone.
///
/// Errors: ConfigError for a limit of 0. A weight function that throws, or gives a negative weight,
/// makes its item a heavy one that goes alone, and the error goes to ConsumerOptions::on_error.
///
///     weights  4 4 4 9 12 1          WeightWindow{10, weight}
///     windows [4 4][4][9][12] 1...
template <class Weight = StoredWeight>
class WeightWindow {
 public:
  static constexpr bool needs_weights = std::same_as<Weight, StoredWeight>;

  explicit WeightWindow(std::uint64_t limit, Weight weight = {})
      : limit_(checked_limit(limit)), weight_(std::move(weight)) {}

  template <class T>
  Readiness window_ready(Pending<T>& pending, TimePoint) {
    std::exception_ptr error = learn(pending);
    const std::uint64_t limit = limit_.get();
    const std::uint64_t first = pending.first_position();
    const std::uint64_t end = pending.end_position();
    // Binary search for the longest stretch from the front that fits.
    std::uint64_t low = first;
    std::uint64_t high = end;
    while (low < high) {
      const std::uint64_t middle = low + (high - low + 1) / 2;
      if (sums_.weight(first, middle) <= limit)
        low = middle;
      else
        high = middle - 1;
    }
    const bool all_fit = low == end;
    const bool full = all_fit && first != end && sums_.weight(first, end) == limit;
    Readiness readiness{
        .ready = !all_fit || full, .reason = Reason::weight, .error = std::move(error)};
    if (readiness.ready)
      readiness.limit = std::max<std::size_t>(1, static_cast<std::size_t>(low - first));
    else
      readiness.at_items = pending.size() + 1;
    return readiness;
  }

  /// Takes effect for what is pending, too; any thread.
  void set_limit(std::uint64_t limit) { limit_.set(checked_limit(limit)); }
  [[nodiscard]] std::uint64_t limit() const noexcept { return limit_.get(); }

  void on_retune(std::function<void()> f) { limit_.on_change(std::move(f)); }

 private:
  /// Beyond any sensible limit; the sums of millions of such items do not overflow.
  static constexpr std::uint64_t heaviest = std::uint64_t{1} << 40;

  static std::uint64_t checked_limit(std::uint64_t limit) {
    if (limit < 1 || limit >= heaviest)
      throw ConfigError(fmt::format("WeightWindow: limit must be from 1 to {}, got {}{}",
                                    heaviest - 1, limit,
                                    limit >= heaviest ? " (a negative number?)" : ""));
    return limit;
  }

  /// Weighs what is new. The first error of a weight function, if there was one.
  template <class T>
  [[nodiscard]] std::exception_ptr learn(Pending<T>& pending) {
    std::exception_ptr error;
    const std::uint64_t first = pending.first_position();
    if (cursor_ <= first) {
      cursor_ = first;
      sums_.restart(first);
    } else if (sums_begin_ < first) {
      sums_.forget_before(first);
    }
    sums_begin_ = first;
    while (cursor_ < pending.end_position()) {
      const auto i = static_cast<std::size_t>(cursor_ - first);
      ++cursor_;
      try {
        sums_.push(std::min(heaviest, weigh(pending, i)));
      } catch (...) {
        if (!error) error = std::current_exception();
        sums_.push(heaviest);  // it goes alone
      }
    }
    return error;
  }

  template <class T>
  [[nodiscard]] std::uint64_t weigh(Pending<T>& pending, std::size_t i) {
    if constexpr (std::same_as<Weight, StoredWeight>) {
      return pending.weight(i);
    } else {
      static_assert(
          std::invocable<Weight&, const T&>,
          "microbatch: a WeightWindow's weight function must be callable with a const item");
      return detail::checked_weight(std::invoke(weight_, std::as_const(pending[i])));
    }
  }

  detail::Tunable<std::uint64_t> limit_;
  Weight weight_;
  detail::RunningSums sums_;
  std::uint64_t sums_begin_ = 0;
  std::uint64_t cursor_ = 0;
};

WeightWindow(std::uint64_t) -> WeightWindow<StoredWeight>;
template <class Weight>
WeightWindow(std::uint64_t, Weight) -> WeightWindow<Weight>;

}  // namespace microbatch::inline v0_1
