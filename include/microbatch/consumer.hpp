#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "engine.hpp"
#include "executors/thread_pool.hpp"

namespace microbatch::inline v0_1 {

namespace detail {
template <class T>
struct EngineOf;  // how the assembly reaches a consumer's engine
}

/// What streaming() returns: the running way from the stream to the callback.
///
/// Threads: any, all functions. Guarantees: every call with a timeout returns by then, also with a
/// callback that never does.
/// The destructor is close(): it waits without bound, as a std::jthread does. Its way out is
/// close(timeout) before it, after which it neither waits nor joins. Destroyed inside its own
/// callback, it waits for nothing: the stream closes, and the rest is drained behind its back.
template <class T>
class Consumer {
 public:
  Consumer(Consumer&&) noexcept = default;
  Consumer& operator=(Consumer&& other) noexcept {
    if (this != &other) {
      end();
      state_ = std::move(other.state_);
    }
    return *this;
  }
  ~Consumer() { end(); }

  /// Emits what was accepted before the call, in partial windows if need be, and returns when those
  /// windows have settled. On a closed consumer it returns at once. UsageError from inside a
  /// callback.
  void flush() { (void)state().engine->flush(never, state().drive); }
  /// The same, at most that long; false if it took longer.
  template <class Rep, class Period>
  [[nodiscard]] bool flush(std::chrono::duration<Rep, Period> timeout) {
    return state().engine->flush(deadline(timeout), state().drive);
  }

  /// Closes the stream, drains it (partial windows leave at once), and waits until every item has
  /// ended. Called again it returns the same counts. UsageError from inside a callback.
  CloseResult<T> close() { return end_by(never, "close"); }
  /// At most that long. What is not delivered by then is handed back; items inside a callback that
  /// still runs are abandoned, and their storage lives until it returns.
  template <class Rep, class Period>
  CloseResult<T> close(std::chrono::duration<Rep, Period> timeout) {
    return end_by(deadline(timeout), "close");
  }
  /// Gives up at once: waits for no callback, hands back the rest.
  CloseResult<T> stop() { return end_by(TimePoint::min(), "stop"); }

  /// A consistent snapshot; see Stats.
  [[nodiscard]] Stats stats() const { return state().engine->stats(); }
  /// How windows went; empty unless ConsumerOptions::histograms. Merged here: some 4 us.
  [[nodiscard]] Histograms histograms() const { return state().engine->histograms(); }
  /// What Metrics::watch takes.
  [[nodiscard]] std::shared_ptr<const Probe> probe() const { return state().engine->probe(); }
  /// The dead letters that were kept (those without a receiver), oldest first; they are yours now.
  [[nodiscard]] std::vector<DeadLetter<T>> take_dead_letters() {
    return state().engine->take_dead_letters();
  }

 private:
  friend struct detail::EngineOf<T>;
  template <class U, class E, class C>
  friend Consumer<U> streaming(
      Stream<U>& stream, E emitter, C callback,
      std::type_identity_t<ConsumerOptions<U, callback_result_t<U, C>>> options);

  /// On the heap, so that a consumer destroyed inside its own callback can leave it to the worker.
  struct State {
    std::shared_ptr<detail::EngineCore<T>> engine;
    std::unique_ptr<ThreadPool> own_pool;
    std::shared_ptr<Attachment> place;
    std::function<void()> drive;  // where the host does not run by itself
    std::mutex finishing;
    std::optional<CloseResult<T>> ended;

    /// The first one to come hands back; it waits for no callback.
    CloseResult<T> finish(bool in_time) {
      std::lock_guard lock(finishing);
      if (ended)
        return {.delivered = ended->delivered,
                .dead_lettered = ended->dead_lettered,
                .abandoned = ended->abandoned,
                .timed_out = ended->timed_out};
      CloseResult<T> result = engine->finish();
      result.timed_out = !in_time;
      place->detach();
      if (own_pool) {
        own_pool->stop();
        if (engine->has_running_callback()) own_pool->abandon();
        own_pool.reset();
      }
      engine->close_sink();
      ended = CloseResult<T>{.delivered = result.delivered,
                             .dead_lettered = result.dead_lettered,
                             .abandoned = result.abandoned,
                             .timed_out = result.timed_out};
      return result;
    }
  };

  explicit Consumer(std::unique_ptr<State> state) : state_(std::move(state)) {}

  [[nodiscard]] State& state() const {
    if (!state_) throw UsageError("Consumer: it was moved from");
    detail::require_not_forked(state_->engine->core(), "Consumer");
    return *state_;
  }

  template <class Rep, class Period>
  static TimePoint deadline(std::chrono::duration<Rep, Period> timeout) {
    return detail::later(steady_clock().now(), detail::to_duration(timeout));
  }

  [[nodiscard]] bool inside_callback() const {
    return detail::this_thread_role().inside_callback_of(&state_->engine->core());
  }

  CloseResult<T> end_by(TimePoint until, const char* what) {
    State& s = state();
    if (inside_callback() && until != TimePoint::min())
      throw UsageError(fmt::format(
          "Consumer::{}: called from inside the consumer's own callback, which it would wait for",
          what));
    if (until == TimePoint::min()) return s.finish(true);
    return s.finish(s.engine->drain(until, s.drive));
  }

  void end() noexcept {
    if (!state_) return;
    if (state_->engine->core().forked()) {  // no thread to join, no lock to trust: the copy stays
      detail::leave_behind(std::move(state_));
      return;
    }
    if (inside_callback() && !state_->engine->finished()) {
      // We cannot wait for ourselves: the state lives on until its engine has drained.
      std::shared_ptr<State> state = std::move(state_);
      auto* engine = state->engine.get();
      engine->begin_drain([state = std::move(state)]() mutable {
        (void)state->finish(true);
        state.reset();
      });
      return;
    }
    try {
      (void)close();
    } catch (...) {  // a manual host that would wait for its own clock
      (void)stop();
    }
    state_.reset();
  }

  std::unique_ptr<State> state_;
};

namespace detail {

template <class T>
struct EngineOf {
  [[nodiscard]] static EngineCore<T>& get(const Consumer<T>& consumer) {
    return *consumer.state().engine;
  }
  [[nodiscard]] static const std::function<void()>& drive(const Consumer<T>& consumer) {
    return consumer.state().drive;
  }
};

}  // namespace detail
}  // namespace microbatch::inline v0_1
