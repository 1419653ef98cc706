#pragma once

#include <concepts>
#include <optional>
#include <utility>

#include "../core/event_time.hpp"
#include "../core/results.hpp"
#include "../emitters/by_item.hpp"

namespace microbatch::inline v0_1 {

/// What a window came to, with the window's key where it has one, its event-time bounds where it
/// goes by event time, and why it left.
template <class R, class K = void>
struct Aggregated {
  K key;
  R value;
  std::optional<EventBounds> bounds{};
  Reason reason = Reason::none;
};
template <class R>
struct Aggregated<R, void> {
  R value;
  std::optional<EventBounds> bounds{};
  Reason reason = Reason::none;
};

namespace detail {

/// The key type of an emitter's windows for items T; void where they have none.
template <class E, class T>
struct WindowKey {
  using type = void;
};
template <class E, class T>
  requires requires { typename E::template key_for<T>; } &&
           (!std::same_as<typename E::template key_for<T>, NoKey>)
struct WindowKey<E, T> {
  using type = typename E::template key_for<T>;
};

template <class K, class R>
[[nodiscard]] Aggregated<R, K> aggregated(const K& key, R&& value,
                                          const std::optional<EventBounds>& bounds, Reason reason) {
  return {key, std::move(value), bounds, reason};
}
template <class R>
[[nodiscard]] Aggregated<R> aggregated(const NoKey&, R&& value,
                                       const std::optional<EventBounds>& bounds, Reason reason) {
  return {std::move(value), bounds, reason};
}

}  // namespace detail
}  // namespace microbatch::inline v0_1
