#pragma once

#include <memory>
#include <utility>

#include "../concepts/emitter.hpp"
#include "by_item.hpp"
#include "watermark.hpp"

namespace microbatch::inline v0_1::detail {

/// The face of every emitter over event time. What it does stands in StateOf<T, Timestamp, KeyFn>,
/// which depends on the item type and is made with the first question.
template <template <class, class, class> class StateOf, class Shape, class Timestamp,
          class KeyFn = Unkeyed>
class EventWindows : private ByItem {
 public:
  static constexpr Combines combines = Combines::none;
  static constexpr bool takes_marks = true;
  static constexpr bool overlaps = requires(const Shape& shape) { shape.panes(); };
  template <class T>
  using key_for = key_of_t<KeyFn, T>;

  EventWindows(Shape shape, Timestamp timestamp, KeyFn key, EventTimeOptions options)
      : shape_(shape), timestamp_(std::move(timestamp)), key_(std::move(key)), options_(options) {
    options_.check();
  }

  /// The same windows for each key by itself, with one watermark for all.
  template <class F>
  [[nodiscard]] auto keyed_by(F key) const {
    static_assert(std::same_as<KeyFn, Unkeyed>,
                  "microbatch: by_key of an emitter that is by key already");
    return EventWindows<StateOf, Shape, Timestamp, F>(shape_, timestamp_, std::move(key), options_);
  }
  /// The panes of these windows, each by itself, for whoever adds up panes instead of items. An
  /// item is as late as it would have been: by its last window.
  [[nodiscard]] auto panes() const
    requires requires(const Shape& shape) { shape.panes(); }
  {
    return EventWindows<StateOf, decltype(shape_.panes()), Timestamp, KeyFn>(
        shape_.panes(), timestamp_, key_, options_);
  }
  [[nodiscard]] const Shape& shape() const noexcept { return shape_; }
  [[nodiscard]] const Timestamp& when() const noexcept { return timestamp_; }
  [[nodiscard]] const EventTimeOptions& rules() const noexcept { return options_; }

  template <class T>
  Readiness window_ready(Pending<T>& pending, TimePoint now) {
    return of<T>().window_ready(pending, now);
  }
  template <class T>
  Readiness flush(Pending<T>& pending, TimePoint) {
    return of<T>().flush(pending);
  }
  template <class T>
  void query(Pending<T>& pending, Draft<T>& draft, const Readiness& readiness) {
    of<T>().exit().query(pending, draft, readiness);
  }
  template <class T>
  void on_emit(Draft<T>&, const Readiness&) {
    of<T>().exit().on_emit();
  }
  template <class T>
  void on_commit(Window<T>& window) {
    of<T>().exit().ended(window);
  }
  template <class T>
  void on_undo(Window<T>& window) {
    of<T>().exit().ended(window);
  }

 private:
  template <class T>
  struct Held final : State {
    explicit Held(const EventWindows& e) : held(e.shape_, e.timestamp_, e.key_, e.options_) {}
    StateOf<T, Timestamp, KeyFn> held;
  };
  template <class T>
  StateOf<T, Timestamp, KeyFn>& of() {
    return this->template state<Held<T>>([&] { return std::make_unique<Held<T>>(*this); }).held;
  }

  Shape shape_;
  Timestamp timestamp_;
  KeyFn key_;
  EventTimeOptions options_;
};

}  // namespace microbatch::inline v0_1::detail
