#pragma once

#include <cstdint>
#include <ranges>
#include <stop_token>
#include <utility>

#include "../pipeline.hpp"

namespace microbatch::inline v0_1 {

/// The elements of a range, from its beginning to its end: a vector, a view, anything one can loop
/// over. The range goes into the source; elements are copied, or moved where it yields rvalues.
///
///     microbatch::run(microbatch::RangeSource(std::vector{1, 2, 3}), CountWindow{2}, callback);
template <std::ranges::input_range R>
class RangeSource {
 public:
  using value_type = std::ranges::range_value_t<R>;

  explicit RangeSource(R range) : range_(std::move(range)) {}

  void run(Feed<value_type>& feed, std::stop_token stop) {
    for (auto&& element : range_) {
      if (stop.stop_requested()) return;
      if (feed.append(value_type(std::forward<decltype(element)>(element)), stop) ==
          AppendResult::closed)
        return;
    }
  }

 private:
  R range_;
};

}  // namespace microbatch::inline v0_1
