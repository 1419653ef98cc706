#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <utility>

#include "keyed_state.hpp"

namespace microbatch::inline v0_1 {

namespace detail {

/// The emitter behind by_key, for inner emitters that know nothing of keys.
template <class KeyFn, class E>
class KeyedWindows : private ByItem {
 public:
  static constexpr bool needs_stamps = StampingEmitter<E>;
  static constexpr bool needs_weights = WeighingEmitter<E>;
  static constexpr bool overlaps = OverlappingEmitter<E>;
  static constexpr Combines combines = Combines::none;
  template <class T>
  using key_for = key_of_t<KeyFn, T>;

  KeyedWindows(KeyFn key, E emitter) : key_(std::move(key)), emitter_(std::move(emitter)) {}

  [[nodiscard]] const KeyFn& key_function() const noexcept { return key_; }
  [[nodiscard]] const E& each() const noexcept { return emitter_; }

  template <class T>
  Readiness window_ready(Pending<T>& pending, TimePoint now) {
    return of<T>().window_ready(pending, now);
  }
  template <class T>
  Readiness flush(Pending<T>& pending, TimePoint now) {
    return of<T>().flush(pending, now);
  }
  template <class T>
  void query(Pending<T>& pending, Draft<T>& draft, const Readiness& readiness) {
    of<T>().query(pending, draft, readiness);
  }
  template <class T>
  void on_emit(Draft<T>& draft, const Readiness& readiness) {
    of<T>().on_emit(draft, readiness);
  }
  template <class T>
  void on_commit(Window<T>& window) {
    of<T>().ended(window, true);
  }
  template <class T>
  void on_undo(Window<T>& window) {
    of<T>().ended(window, false);
  }
  void on_retune(std::function<void()> f) {
    if constexpr (Retunable<E>)
      emitter_.on_retune([retuned = retuned_, f = std::move(f)] {
        retuned->store(true, std::memory_order_relaxed);
        if (f) f();
      });
  }

 private:
  template <class T>
  struct Held final : State {
    explicit Held(const KeyedWindows& e) : keyed(e.key_, e.emitter_, e.retuned_) {}
    KeyedState<T, KeyFn, E> keyed;
  };
  template <class T>
  KeyedState<T, KeyFn, E>& of() {
    return this->template state<Held<T>>([&] { return std::make_unique<Held<T>>(*this); }).keyed;
  }

  KeyFn key_;
  E emitter_;
  std::shared_ptr<std::atomic<bool>> retuned_ = std::make_shared<std::atomic<bool>>(false);
};

template <class E>
consteval void require_inner() {
  static_assert(std::copy_constructible<E>,
                "microbatch: by_key gives every key a copy of the emitter, so it must be copyable");
  static_assert(!NarrowingEmitter<E>,
                "microbatch: by_key of an emitter that goes by one grid of arrival times for the "
                "whole stream; expected TumblingWindow or HoppingWindow with a timestamp function, "
                "or an emitter that needs only what is pending");
}

}  // namespace detail

/// Windows of each key by itself: `key` takes a const item, and every key has an emitter of its
/// own, a copy of `emitter`. Limits of copies are shared, so they can be changed while running.
/// Event time emitters have one watermark for all keys. Window::key<K>() tells a window's key.
///
/// Order: the items of a key reach windows in their order, and never are two windows of a key in
/// flight, so each key's windows are handled and committed in order, also with many workers and
/// Order::unordered.
/// Memory: a key is remembered while something of it is pending or in flight, and little longer;
/// then its emitter begins anew. A step does something only for keys that have a new item, a timer
/// that is due, or a window that has ended.
/// Errors: an item whose key function (or the key's hash) throws goes to the side output
/// (Reason::unplaced, no key), and the error to ConsumerOptions::on_error.
///
///     by_key(&Order::customer, any_of(CountWindow{100}, MaxAgeWindow{1s}))
///     by_key(&Click::user, SessionWindow{30min, &Click::time, {.out_of_orderness = 1min}})
template <class KeyFn, class E>
[[nodiscard]] auto by_key(KeyFn key, E emitter) {
  if constexpr (requires { emitter.keyed_by(key); }) {
    return emitter.keyed_by(std::move(key));
  } else {
    detail::require_inner<E>();
    return detail::KeyedWindows<KeyFn, E>(std::move(key), std::move(emitter));
  }
}

}  // namespace microbatch::inline v0_1
