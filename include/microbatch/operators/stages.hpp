#pragma once

#include <concepts>
#include <functional>
#include <ranges>
#include <tuple>
#include <type_traits>
#include <utility>

#include "not_a_range.hpp"

namespace microbatch::inline v0_1 {
namespace detail {

/// One item in, one out.
template <class F>
struct MapStage {
  F f;

  template <class T>
  struct Out {
    static_assert(std::invocable<F&, T>,
                  "microbatch: map's function must be callable with an item");
    using type = std::remove_cvref_t<std::invoke_result_t<F&, T>>;
    static_assert(!std::is_void_v<type>, "microbatch: map's function must return the new item");
  };
  template <class T, class Next>
  void operator()(T&& item, Next&& next) {
    next(std::invoke(f, std::forward<T>(item)));
  }
};

/// Items for which the predicate is false end here.
template <class F>
struct FilterStage {
  F f;

  template <class T>
  struct Out {
    static_assert(std::predicate<F&, const T&>,
                  "microbatch: filter's predicate must take a const item and return bool");
    using type = T;
  };
  template <class T, class Next>
  void operator()(T&& item, Next&& next) {
    if (std::invoke(f, std::as_const(item))) next(std::forward<T>(item));
  }
};

/// One item in, any number out: the elements of the range that the function returns.
template <class F>
struct FlatMapStage {
  F f;

  template <class T>
  struct Out {
    static_assert(std::invocable<F&, T>,
                  "microbatch: flat_map's function must be callable with an item");
    using Range = std::invoke_result_t<F&, T>;
    static_assert(std::ranges::input_range<Range>,
                  "microbatch: flat_map's function must return a range of new items");
    using type = std::ranges::range_value_t<Range>;
  };
  template <class T, class Next>
  void operator()(T&& item, Next&& next) {
    auto&& range = std::invoke(f, std::forward<T>(item));
    for (auto&& element : range) {
      if constexpr (std::is_lvalue_reference_v<decltype(range)>)
        next(element);
      else
        next(std::move(element));
    }
  }
};

template <class S>
inline constexpr bool is_stage = false;
template <class F>
inline constexpr bool is_stage<MapStage<F>> = true;
template <class F>
inline constexpr bool is_stage<FilterStage<F>> = true;
template <class F>
inline constexpr bool is_stage<FlatMapStage<F>> = true;

/// Stages one behind the other, as one function: no queue and no call through a pointer between
/// them.
template <class... Stages>
class Fused {
  template <class T, class... Rest>
  struct Chain {
    using type = T;
  };
  template <class T, class S, class... Rest>
  struct Chain<T, S, Rest...> : Chain<typename S::template Out<T>::type, Rest...> {};

 public:
  /// What becomes of a T.
  template <class T>
  using Out = typename Chain<T, Stages...>::type;

  Fused() = default;
  explicit Fused(std::tuple<Stages...> stages) : stages_(std::move(stages)) {}

  template <class S>
  [[nodiscard]] auto then(S stage) && {
    return Fused<Stages..., S>(std::tuple_cat(std::move(stages_), std::tuple<S>(std::move(stage))));
  }
  /// out(item) for everything that comes of an item.
  template <class T, class F>
  void push(T&& item, F&& out) {
    push_from<0>(std::forward<T>(item), out);
  }

 private:
  template <std::size_t I, class T, class F>
  void push_from(T&& item, F& out) {
    if constexpr (I == sizeof...(Stages))
      out(std::forward<T>(item));
    else
      std::get<I>(stages_)(std::forward<T>(item), [&]<class U>(U&& next) {
        push_from<I + 1>(std::forward<U>(next), out);
      });
  }

  std::tuple<Stages...> stages_;
};

}  // namespace detail

/// f(item) in the place of each item.
template <detail::NotARange F>
[[nodiscard]] auto map(F f) {
  return detail::MapStage<F>{std::move(f)};
}
/// Only the items for which the predicate is true.
template <detail::NotARange F>
[[nodiscard]] auto filter(F predicate) {
  return detail::FilterStage<F>{std::move(predicate)};
}
/// All elements of the range f(item) in the place of each item.
template <detail::NotARange F>
[[nodiscard]] auto flat_map(F f) {
  return detail::FlatMapStage<F>{std::move(f)};
}

}  // namespace microbatch::inline v0_1
