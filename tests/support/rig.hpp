#pragma once

#include <microbatch/microbatch.hpp>
#include <microbatch/testing/manual_clock.hpp>
#include <microbatch/testing/manual_executor.hpp>

#include <chrono>
#include <concepts>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "support/catch.hpp"

namespace test {

/// What a callback saw of a window. Times count from the rig's start.
template <class T>
struct Seen {
  std::vector<T> items;
  microbatch::Reason reason{};
  microbatch::Duration at{};
  microbatch::Duration opened{};
  microbatch::Duration closed{};
  microbatch::Duration oldest{};
  std::uint64_t sequence = 0;
  std::uint32_t part = 0;
  std::uint32_t attempt = 0;
};

using Times = std::vector<microbatch::Duration>;
using Names = std::vector<std::string>;
template <class T = int>
using Windows = std::vector<std::vector<T>>;

/// A stream and its consumer in virtual time, on the test's own thread. It records every window.
///
///     Rig rig;
///     rig.consume(microbatch::MaxAgeWindow{2s});
///     rig.at(1s);
///     rig.append(7);
///     rig.at(3s);
///     CHECK(rig.items() == Windows<>{{7}});
template <class T = int>
class Rig {
 public:
  explicit Rig(microbatch::StreamOptions<T> options = {}, std::size_t workers = 1)
      : executor(workers), stream(with_clock(std::move(options))) {}
  Rig(const Rig&) = delete;
  Rig& operator=(const Rig&) = delete;

  template <class E>
  void consume(E emitter, microbatch::ConsumerOptions<T> options = {}) {
    consume(
        std::move(emitter), [](microbatch::Window<T>&) {}, std::move(options));
  }
  /// The callback's windows are recorded in `calls`, those in which it did not throw in `windows`.
  template <class E, std::invocable<microbatch::Window<T>&> F>
  void consume(E emitter, F callback, microbatch::ConsumerOptions<T> options = {}) {
    options.executor = executor;
    options.on_error = [this](const microbatch::BackgroundError& error) {
      errors.push_back(error);
    };
    consumer.emplace(microbatch::streaming(
        stream, std::move(emitter),
        [this, callback = std::move(callback)](microbatch::Window<T>& window) mutable {
          const Seen<T> seen = look_at(window);
          calls.push_back(seen);
          callback(window);
          windows.push_back(seen);
        },
        std::move(options)));
    run();  // it sleeps from here on
  }

  template <class... U>
  void append(U&&... items) {
    const auto append_one = [this](T&& item) {
      REQUIRE(stream.append(std::move(item)) == microbatch::AppendResult::accepted);
    };
    (append_one(T(std::forward<U>(items))), ...);
  }
  /// The numbers from `from` on, n of them.
  void append_numbers(int from, int n)
    requires std::same_as<T, int>
  {
    for (int i = from; i < from + n; ++i) append(i);
  }

  /// Everything that can be done at this time. Something that never stops is an error.
  std::size_t run() {
    constexpr std::size_t many = 100'000;
    std::size_t steps = 0;
    while (executor.step())
      if (++steps > many) FAIL("the engine spins");
    return steps;
  }
  /// Time since the start.
  [[nodiscard]] microbatch::Duration now() const { return clock.now() - start; }
  /// Lets the time pass in one leap, as for a consumer that sleeps meanwhile.
  void leap_to(microbatch::Duration t) { clock.set(start + t); }
  void at(microbatch::Duration t) {
    leap_to(t);
    run();
  }
  /// Lets the time pass in small steps, so that everything happens when it is due.
  void pass_until(microbatch::Duration t,
                  microbatch::Duration step = std::chrono::milliseconds(10)) {
    run();
    while (now() < t) at(std::min(now() + step, t));
  }

  /// Everything in `microbatch::CloseResult` and a balanced ledger.
  microbatch::CloseResult<T> close() { return balanced(consumer->close()); }
  microbatch::CloseResult<T> stop() { return balanced(consumer->stop()); }

  [[nodiscard]] microbatch::Stats stats() const { return consumer->stats(); }
  [[nodiscard]] Windows<T> items() const {
    Windows<T> all;
    for (const auto& window : windows) all.push_back(window.items);
    return all;
  }
  /// Of all windows, one behind the other.
  [[nodiscard]] std::vector<T> flat() const {
    std::vector<T> all;
    for (const auto& window : windows)
      all.insert(all.end(), window.items.begin(), window.items.end());
    return all;
  }
  [[nodiscard]] Names reasons() const {
    Names all;
    for (const auto& window : windows) all.emplace_back(microbatch::to_string(window.reason));
    return all;
  }
  /// When each window reached the callback.
  [[nodiscard]] Times times() const {
    Times all;
    for (const auto& window : windows) all.push_back(window.at);
    return all;
  }
  /// Window::opened_at() and closed_at(), one behind the other.
  [[nodiscard]] Times bounds() const {
    Times all;
    for (const auto& window : windows) {
      all.push_back(window.opened);
      all.push_back(window.closed);
    }
    return all;
  }

  microbatch::testing::ManualClock clock;
  const microbatch::TimePoint start = clock.now();
  microbatch::testing::ManualExecutor executor;
  microbatch::Stream<T> stream;
  std::vector<Seen<T>> calls;
  std::vector<Seen<T>> windows;
  std::vector<microbatch::BackgroundError> errors;
  std::optional<microbatch::Consumer<T>> consumer;

 private:
  microbatch::StreamOptions<T> with_clock(microbatch::StreamOptions<T> options) {
    options.clock = clock;
    return options;
  }
  Seen<T> look_at(const microbatch::Window<T>& window) const {
    return {.items = {window.begin(), window.end()},
            .reason = window.reason(),
            .at = now(),
            .opened = window.opened_at() - start,
            .closed = window.closed_at() - start,
            .oldest = window.oldest_at() - start,
            .sequence = window.sequence(),
            .part = window.part(),
            .attempt = window.attempt()};
  }
  microbatch::CloseResult<T> balanced(microbatch::CloseResult<T> result) {
    CHECK(stats().balances());
    CHECK(stats().pending == 0);
    CHECK(stats().in_flight == 0);
    return result;
  }
};

}  // namespace test
