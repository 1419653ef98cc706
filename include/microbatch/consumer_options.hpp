#pragma once

#include <fmt/format.h>

#include <concepts>
#include <cstddef>
#include <functional>
#include <memory>
#include <type_traits>
#include <utility>

#include "concepts/executor.hpp"
#include "core/errors.hpp"
#include "core/results.hpp"
#include "core/window_event.hpp"
#include "delivery/dead_letter.hpp"
#include "delivery/failure_policy.hpp"
#include "delivery/handler.hpp"
#include "stream_options.hpp"

namespace microbatch::inline v0_1 {

namespace detail {
struct HostThreads;
}

/// Any executor, by reference, by pointer or shared. Where it is an EngineHost, it drives the
/// engine, too.
class AnyExecutor {
 public:
  AnyExecutor() noexcept = default;

  template <Executor E>
    requires(!std::same_as<E, AnyExecutor>)
  AnyExecutor(E& executor) : AnyExecutor(&executor) {}  // NOLINT(google-explicit-constructor)
  template <Executor E>
  AnyExecutor(std::shared_ptr<E> executor)
      : AnyExecutor(executor.get()) {  // NOLINT(google-explicit-constructor)
    owner_ = std::move(executor);
  }
  template <Executor E>
  AnyExecutor(E* executor) {  // NOLINT(google-explicit-constructor)
    if (executor == nullptr) throw ConfigError("ConsumerOptions.executor must not be null");
    execute_ = [executor](Task task) { executor->execute(std::move(task)); };
    if constexpr (EngineHost<E>)
      attach_ = [executor](std::shared_ptr<Steppable> engine) {
        return executor->attach(std::move(engine));
      };
    if constexpr (requires { executor->workers(); }) workers_ = executor->workers();
    if constexpr (requires { executor->threads(); }) threads_ = &executor->threads();
    if constexpr (requires { executor->run_ready(); })
      drive_ = [executor] { executor->run_ready(); };
  }

  void execute(Task task) const { execute_(std::move(task)); }
  [[nodiscard]] bool is_host() const noexcept { return static_cast<bool>(attach_); }
  [[nodiscard]] std::shared_ptr<Attachment> attach(std::shared_ptr<Steppable> engine) const {
    return attach_(std::move(engine));
  }
  /// 1 where the executor does not say.
  [[nodiscard]] std::size_t workers() const noexcept { return workers_; }
  [[nodiscard]] detail::HostThreads* threads() const noexcept { return threads_; }
  /// Where the executor runs nothing by itself (a manual one): runs what is ready. Otherwise empty.
  [[nodiscard]] const std::function<void()>& drive() const noexcept { return drive_; }
  [[nodiscard]] explicit operator bool() const noexcept { return static_cast<bool>(execute_); }

 private:
  std::function<void(Task)> execute_;
  std::function<std::shared_ptr<Attachment>(std::shared_ptr<Steppable>)> attach_;
  std::function<void()> drive_;
  std::shared_ptr<void> owner_;
  std::size_t workers_ = 1;
  detail::HostThreads* threads_ = nullptr;
};

/// Settings of a consumer of T whose callback's results are R. `ConsumerOptions<>` carries
/// everything but `sink` and `dead_letters`, and becomes the settings of any consumer.
template <class T = AnyItem, class R = void>
struct ConsumerOptions {
  AnyExecutor executor{};         ///< default: a pool of one worker, the consumer's own
  std::size_t max_in_flight = 0;  ///< windows at a time; 0: as many as the executor has workers
  Order order = Order::sequential;
  AnySink<R> sink{};                    ///< takes the callback's results, before the window commits
  DeadLetterHandler<T> dead_letters{};  ///< default: they are kept, see max_kept_dead_letters
  std::size_t max_kept_dead_letters = 1000;  ///< beyond it the oldest go, counted
  FailurePolicy on_failure{};
  std::function<void(const BackgroundError&)> on_error{};  ///< what happens in the background
  WindowObserver on_window{};  ///< each attempt's begin and end, each window's end: for tracing
  bool histograms = false;     ///< measure windows, see Histograms: two clock reads per attempt

  template <class U, class S>
    requires std::same_as<T, AnyItem>
  operator ConsumerOptions<U, S>() const {  // NOLINT(google-explicit-constructor)
    return {.executor = executor,
            .max_in_flight = max_in_flight,
            .order = order,
            .sink = {},
            .dead_letters = {},
            .max_kept_dead_letters = max_kept_dead_letters,
            .on_failure = on_failure,
            .on_error = on_error,
            .on_window = on_window,
            .histograms = histograms};
  }

  void check() const {
    on_failure.check();
    constexpr std::size_t most = 65'536;
    if (max_in_flight > most)
      throw ConfigError(fmt::format("ConsumerOptions.max_in_flight must be from 0 to {}, got {}{}",
                                    most, max_in_flight,
                                    max_in_flight > most * most ? " (a negative number?)" : ""));
    if (order == Order::sequential && max_in_flight > 1)
      throw ConfigError(
          fmt::format("ConsumerOptions.max_in_flight is {}, but Order::sequential allows 1; "
                      "expected 1, or another order",
                      max_in_flight));
  }
};

ConsumerOptions() -> ConsumerOptions<AnyItem, void>;

}  // namespace microbatch::inline v0_1
