#pragma once

#include <functional>
#include <memory>
#include <utility>

#include "consumer_options.hpp"
#include "engine/engine_core.hpp"
#include "stream.hpp"

namespace microbatch::inline v0_1 {

namespace detail {

/// Checks everything, attaches to the stream, and makes the engine of a consumer.
template <class T, class E, class C>
std::shared_ptr<EngineCore<T>> make_engine(Stream<T>& stream, E emitter, C callback,
                                           ConsumerOptions<T, callback_result_t<T, C>> options) {
  static_assert(
      WindowEmitter<E, T>,
      "microbatch: an emitter needs `Readiness window_ready(Pending<T>&, TimePoint)` for the "
      "stream's item type T, and must be movable");
  options.check();
  const auto& core = CoreOf<T>::get(stream);
  auto handler =
      std::make_unique<CallbackHandler<T, C>>(std::move(callback), std::move(options.sink));
  auto handle = std::make_unique<EmitterOf<T, E>>(std::move(emitter));
  if (core->closed()) throw UsageError("streaming: the stream is closed");
  if (!core->attach())
    throw UsageError("streaming: the stream has a consumer already; expected one per stream");
  try {
    if constexpr (WeighingEmitter<E>) {
      if (!core->weighs())
        throw ConfigError(
            "streaming: this emitter takes the weights that the stream stored, and the stream has "
            "no "
            "weight function; expected StreamOptions.weight, or a weight function for the emitter");
    }
    if constexpr (OverlappingEmitter<E>) {
      if (options.order == Order::unordered)
        throw ConfigError(
            "streaming: this emitter's windows overlap: an item ends with the last one that holds "
            "it, so they must commit in order; expected Order::sequential or "
            "Order::committed_in_order");
    }
    if constexpr (MarkTakingEmitter<E>) {
      std::lock_guard token(core->token);
      core->backlog.keeps_marks = true;
    }
    if constexpr (StampingEmitter<E>) {
      if (!core->begin_stamping())
        throw ConfigError(
            "streaming: this emitter needs arrival stamps, and the stream holds items without; "
            "expected an empty stream or StreamOptions.arrival_stamps = true");
    }
    const std::size_t workers = options.executor ? options.executor.workers() : 1;
    auto engine = std::make_shared<EngineCore<T>>(core, std::move(handle), std::move(handler),
                                                  options, workers);
    engine->start();
    return engine;
  } catch (...) {
    core->unattach();
    throw;
  }
}

}  // namespace detail

/// The engine under Consumer, for a program that has a loop of its own: no thread is started,
/// step() does what is to be done now. Several engines can share one loop.
///
/// Threads: step() by one thread at a time; the callback runs inside step(), or on the executor in
/// the options. on_wake's function is called by producers and must only make the loop step soon.
///
///     microbatch::Engine<int> engine(stream, microbatch::CountWindow{100}, callback);
///     engine.on_wake([&] { loop.post(step); });
///     microbatch::TimePoint next = engine.step(clock.now());   // call again then, or when woken
template <class T>
class Engine {
 public:
  template <class E, class C>
  Engine(Stream<T>& stream, E emitter, C callback,
         ConsumerOptions<T, callback_result_t<T, C>> options = {})
      : executor_(options.executor),
        core_(detail::make_engine<T>(stream, std::move(emitter), std::move(callback),
                                     std::move(options))) {
    if (executor_) core_->dispatch_to(executor_);
  }
  Engine(Engine&&) noexcept = default;
  Engine& operator=(Engine&&) = delete;
  /// Does not drain: what was not delivered is given up as by stop(), and dropped.
  ~Engine() {
    if (!core_) return;
    if (core_->core().forked())
      detail::leave_behind(std::move(core_));
    else
      (void)core_->finish();
  }

  /// Forms and runs every window that is due at `now`; returns when it wants to be called again.
  TimePoint step(TimePoint now) {
    for (;;) {
      const Steppable::Turn turn = core().turn_at(now, false);
      if (turn.job == nullptr) return turn.next;
      core().perform(turn.job);
    }
  }

  /// f is called when step() should be called earlier than it asked for. Replaces the last one.
  void on_wake(std::function<void()> f) { core().on_notify(std::move(f)); }

  /// A partial window is wanted: the next steps emit what is in now.
  void flush() { core().ask_flush(); }
  /// No more input: the next steps drain. finished() tells when everything has ended.
  void close() { core().begin_drain(); }
  [[nodiscard]] bool finished() const { return core().finished(); }
  /// Gives up: hands back what is in no running callback.
  CloseResult<T> stop() { return core().finish(); }

  [[nodiscard]] Stats stats() const { return core().stats(); }
  /// How windows went; empty unless ConsumerOptions::histograms. Merged here: some 10 us.
  [[nodiscard]] Histograms histograms() const { return core().histograms(); }
  /// What Metrics::watch takes.
  [[nodiscard]] std::shared_ptr<const Probe> probe() const { return core().probe(); }
  [[nodiscard]] std::vector<DeadLetter<T>> take_dead_letters() {
    return core().take_dead_letters();
  }

 private:
  /// UsageError in a forked child: its copy must not deliver what the parent will.
  [[nodiscard]] detail::EngineCore<T>& core() const {
    detail::require_not_forked(core_->core(), "Engine");
    return *core_;
  }

  AnyExecutor executor_;
  std::shared_ptr<detail::EngineCore<T>> core_;
};

}  // namespace microbatch::inline v0_1
