#pragma once

#include <concepts>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>

#include "../core/errors.hpp"
#include "../core/item.hpp"

namespace microbatch::inline v0_1 {

/// An item that could not be delivered, and why.
template <class T>
struct DeadLetter {
  T item;
  std::string error;             ///< the text of what it died of
  std::exception_ptr exception;  ///< the same, to rethrow
  std::uint32_t attempts = 0;    ///< how often the item was handed to the callback
  std::uint64_t sequence = 0;    ///< of its window
  Origin origin{};               ///< where the source read it
};

/// Receives dead letters, one at a time: any callable with DeadLetter<T>, by reference or by value.
/// Where it throws, the letter is kept as if there were no receiver.
template <class T>
class DeadLetterHandler {
 public:
  DeadLetterHandler() noexcept = default;
  template <class F>
    requires(!std::same_as<std::decay_t<F>, DeadLetterHandler> &&
             (std::invocable<std::decay_t<F>&, DeadLetter<T>&> ||
              std::invocable<std::decay_t<F>&, DeadLetter<T>>))
  DeadLetterHandler(F f)  // NOLINT(google-explicit-constructor)
      : receive_([f = std::make_shared<F>(std::move(f))](DeadLetter<T>& letter) {
          if constexpr (std::invocable<F&, DeadLetter<T>&>)
            std::invoke(*f, letter);
          else
            std::invoke(*f, std::move(letter));
        }) {}

  void operator()(DeadLetter<T>& letter) const { receive_(letter); }
  [[nodiscard]] explicit operator bool() const noexcept { return static_cast<bool>(receive_); }

 private:
  std::function<void(DeadLetter<T>&)> receive_;
};

/// What happens in the background and concerns no single call: a failed attempt, a custom emitter
/// that threw, an executor that refused.
struct BackgroundError {
  enum class Where : std::uint8_t {
    engine,
    callback,
    sink,
    emitter,
    executor,
    dead_letters,
    source,
    acknowledgement,
    item,
    observer,
  };

  Where where;
  std::exception_ptr exception;
  std::string text;
};

namespace detail {

[[nodiscard]] std::string text_of(const std::exception_ptr& error);

}  // namespace detail
}  // namespace microbatch::inline v0_1
