#pragma once

#include <concepts>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <ranges>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "../concepts/sink.hpp"
#include "../core/errors.hpp"
#include "../core/window.hpp"

namespace microbatch::inline v0_1 {
namespace detail {

template <class C, class T>
concept TakesWindow = std::invocable<C&, Window<T>&>;
template <class C, class T>
concept TakesSpan = std::invocable<C&, std::span<T>>;
template <class C, class T>
concept TakesConstSpan = std::invocable<C&, std::span<const T>>;

template <class C, class T>
concept CallbackFor = TakesWindow<C, T> || TakesSpan<C, T> || TakesConstSpan<C, T>;

/// Calls a callback in whichever of the three forms it takes.
template <class T, class C>
decltype(auto) call_callback(C& callback, Window<T>& window) {
  static_assert(CallbackFor<C, T>,
                "microbatch: the callback must be callable with Window<T>&, std::span<T> or "
                "std::span<const T>, where T is the stream's item type");
  if constexpr (TakesWindow<C, T>)
    return std::invoke(callback, window);
  else if constexpr (TakesSpan<C, T>)
    return std::invoke(callback, std::span<T>(window));
  else if constexpr (TakesConstSpan<C, T>)
    return std::invoke(callback, std::span<const T>(window));
}

template <class T, class C>
using Returned =
    std::remove_cvref_t<decltype(call_callback<T>(std::declval<C&>(), std::declval<Window<T>&>()))>;

/// A returned range of results is many results, anything else (text included) is one.
template <class R>
concept ManyResults = std::ranges::contiguous_range<R> && std::ranges::sized_range<R> &&
                      !std::convertible_to<const R&, std::string_view>;

template <class R>
struct ResultOf {
  using type = R;
};
template <ManyResults R>
struct ResultOf<R> {
  using type = std::ranges::range_value_t<R>;
};
template <>
struct ResultOf<void> {
  using type = void;
};

}  // namespace detail

/// What the sink takes, for a callback C on a stream of T: what the callback returns, or the
/// elements of the range that it returns.
template <class T, class C>
using callback_result_t = typename detail::ResultOf<detail::Returned<T, C>>::type;

/// Any sink for results of type R, by value or by std::ref.
template <class R>
class AnySink {
 public:
  AnySink() noexcept = default;

  template <class S>
    requires(!std::same_as<std::decay_t<S>, AnySink>)
  AnySink(S sink) {  // NOLINT(google-explicit-constructor): a sink is a sink
    using Held = std::unwrap_reference_t<S>;
    static_assert(Sink<std::remove_reference_t<Held>, R>,
                  "microbatch: a sink must have put(std::span<const R>), where R is the callback's "
                  "result (or the element type of the range it returns)");
    auto held = std::make_shared<S>(std::move(sink));
    put_ = [held](std::span<const R> results) -> PutErrors {
      auto& to = static_cast<Held&>(*held);
      if constexpr (PartialSink<std::remove_reference_t<Held>, R>) {
        return to.put(results);
      } else {
        static_assert(std::is_void_v<decltype(to.put(results))>,
                      "microbatch: a sink's put must return nothing, or PutErrors");
        to.put(results);
        return {};
      }
    };
    if constexpr (ClosableSink<std::remove_reference_t<Held>>)
      close_ = [held] { static_cast<Held&>(*held).close(); };
  }

  [[nodiscard]] PutErrors put(std::span<const R> results) { return put_(results); }
  void close() {
    if (close_) close_();
  }
  [[nodiscard]] explicit operator bool() const noexcept { return static_cast<bool>(put_); }

 private:
  std::function<PutErrors(std::span<const R>)> put_;
  std::function<void()> close_;
};

/// The sink of a callback that returns nothing: there is none.
template <>
class AnySink<void> {
 public:
  void close() noexcept {}
  [[nodiscard]] explicit operator bool() const noexcept { return false; }
};

namespace detail {

/// The callback and its sink with their result type erased: one virtual call per window, none per
/// item.
template <class T>
class Handler {
 public:
  /// Where the result of a window is kept until the sink took it; recycled with the window.
  struct Result {
    virtual ~Result() = default;
  };

  virtual ~Handler() = default;
  [[nodiscard]] virtual std::unique_ptr<Result> make_result() const = 0;
  virtual void call(Window<T>& window, Result& result) = 0;
  [[nodiscard]] virtual bool has_sink() const noexcept = 0;
  [[nodiscard]] virtual std::size_t count(Result& result) const = 0;
  /// Some of its results; the errors' indices count from the first of these.
  [[nodiscard]] virtual PutErrors put(Result& result, std::size_t from, std::size_t n) = 0;
  virtual void close_sink() = 0;
};

template <class T, class C>
class CallbackHandler final : public Handler<T> {
 public:
  using R = Returned<T, C>;

  CallbackHandler(C callback, AnySink<callback_result_t<T, C>> sink)
      : callback_(std::move(callback)), sink_(std::move(sink)) {
    // std::function, function pointers: an empty one would only fail at the first window.
    if constexpr (requires { static_cast<bool>(callback_ == nullptr); }) {
      if (callback_ == nullptr)
        throw ConfigError("streaming: the callback is empty; expected something callable");
    }
  }

  [[nodiscard]] std::unique_ptr<typename Handler<T>::Result> make_result() const override {
    return std::make_unique<Kept>();
  }

  void call(Window<T>& window, typename Handler<T>::Result& result) override {
    if constexpr (std::is_void_v<R>) {
      call_callback<T>(callback_, window);
    } else {
      static_cast<Kept&>(result).value.emplace(call_callback<T>(callback_, window));
    }
  }

  [[nodiscard]] bool has_sink() const noexcept override { return static_cast<bool>(sink_); }

  [[nodiscard]] std::size_t count([[maybe_unused]]
                                  typename Handler<T>::Result& result) const override {
    if constexpr (std::is_void_v<R>)
      return 0;
    else if constexpr (ManyResults<R>)
      return std::ranges::size(*static_cast<Kept&>(result).value);
    else
      return 1;
  }

  [[nodiscard]] PutErrors put([[maybe_unused]] typename Handler<T>::Result& result,
                              [[maybe_unused]] std::size_t from,
                              [[maybe_unused]] std::size_t n) override {
    if constexpr (std::is_void_v<R>) {
      return {};
    } else {
      auto& value = *static_cast<Kept&>(result).value;
      if constexpr (ManyResults<R>) {
        using V = std::ranges::range_value_t<R>;
        return sink_.put(std::span<const V>(std::ranges::data(value) + from, n));
      } else {
        return sink_.put(std::span<const R>(&value, 1));
      }
    }
  }
  void close_sink() override { sink_.close(); }

 private:
  struct Nothing {};
  struct Kept final : Handler<T>::Result {
    std::optional<std::conditional_t<std::is_void_v<R>, Nothing, R>> value;
  };

  C callback_;
  AnySink<callback_result_t<T, C>> sink_;
};

}  // namespace detail
}  // namespace microbatch::inline v0_1
