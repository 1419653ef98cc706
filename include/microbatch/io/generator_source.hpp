#pragma once

#include <functional>
#include <optional>
#include <stop_token>
#include <type_traits>
#include <utility>

#include "../pipeline.hpp"

namespace microbatch::inline v0_1 {

namespace detail {

template <class F>
struct Generated : std::invoke_result<F&> {};
template <class F>
  requires std::is_invocable_v<F&, std::stop_token>
struct Generated<F> : std::invoke_result<F&, std::stop_token> {};

}  // namespace detail

/// What a function makes, one item per call, until it returns an empty optional. A function that
/// blocks takes the stop token and returns when it is asked to.
///
///     GeneratorSource([n = 0]() mutable { return n < 9 ? std::optional(n++) : std::nullopt; })
template <class F>
class GeneratorSource {
  static constexpr bool takes_stop = std::is_invocable_v<F&, std::stop_token>;
  static_assert(takes_stop || std::is_invocable_v<F&>,
                "microbatch: a generator is callable without arguments or with a std::stop_token");
  using Item = typename detail::Generated<F>::type;

 public:
  using value_type = typename Item::value_type;
  static_assert(std::is_same_v<Item, std::optional<value_type>>,
                "microbatch: a generator returns std::optional<item>, empty at the end");

  explicit GeneratorSource(F generate) : generate_(std::move(generate)) {}

  void run(Feed<value_type>& feed, std::stop_token stop) {
    while (!stop.stop_requested()) {
      Item item = next(stop);
      if (!item || feed.append(std::move(*item), stop) == AppendResult::closed) return;
    }
  }

 private:
  Item next([[maybe_unused]] const std::stop_token& stop) {
    if constexpr (takes_stop)
      return std::invoke(generate_, stop);
    else
      return std::invoke(generate_);
  }

  F generate_;
};

}  // namespace microbatch::inline v0_1
