#pragma once

#include <concepts>
#include <functional>
#include <span>
#include <utility>

namespace microbatch::inline v0_1 {

/// Hands each window's results to a function, which takes them as a std::span<const R>. What the
/// function returns becomes put()'s answer; what it throws makes the engine put them again.
///
///     CallbackSink([&](std::span<const Row> rows) { table.insert(rows); })
template <class F>
class CallbackSink {
 public:
  explicit CallbackSink(F f) : f_(std::move(f)) {}

  template <class R>
    requires std::invocable<F&, std::span<const R>>
  decltype(auto) put(std::span<const R> results) {
    return std::invoke(f_, results);
  }

 private:
  F f_;
};

}  // namespace microbatch::inline v0_1
