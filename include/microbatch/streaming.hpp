#pragma once

#include <memory>
#include <type_traits>
#include <utility>

#include "consumer.hpp"

namespace microbatch::inline v0_1 {

/// Begins to hand windows of the stream to the callback, until the Consumer is closed.
///
/// The emitter says when pending items become a window, and which. The callback takes Window<T>&,
/// std::span<T> or std::span<const T>; what it returns goes to the sink in the options, if there is
/// one. By default it runs on a thread of its own, one window at a time, in order.
///
/// Errors: ConfigError for settings that cannot work; UsageError for a second consumer or a closed
/// stream. All of them before any thread starts.
///
///     auto consumer = microbatch::streaming(stream, microbatch::CountWindow{2},
///         [](microbatch::Window<std::string>& window) { fmt::print("{}\n", window); });
template <class T, class E, class C>
[[nodiscard]] Consumer<T> streaming(
    Stream<T>& stream, E emitter, C callback,
    std::type_identity_t<ConsumerOptions<T, callback_result_t<T, C>>> options = {}) {
  const AnyExecutor executor = options.executor;
  auto state = std::make_unique<typename Consumer<T>::State>();
  state->engine =
      detail::make_engine<T>(stream, std::move(emitter), std::move(callback), std::move(options));
  auto& core = state->engine->core();
  try {
    if (executor.is_host()) {
      state->place = executor.attach(state->engine);
      state->drive = executor.drive();
      core.admission.set_host(executor.threads());
    } else {
      // One thread of our own takes the turns; callbacks run on it, or on the executor.
      if (executor) state->engine->dispatch_to(executor);
      state->own_pool = std::make_unique<ThreadPool>(
          ThreadPoolOptions{.workers = 1, .name = std::string(stream.name())});
      state->place = state->own_pool->attach(state->engine);
      if (!executor) core.admission.set_host(&state->own_pool->threads());
    }
    state->engine->on_notify([place = std::weak_ptr<Attachment>(state->place)] {
      if (const auto there = place.lock()) there->notify();
    });
  } catch (...) {
    if (state->place) state->place->detach();
    core.unattach();
    throw;
  }
  state->place->notify();
  return Consumer<T>(std::move(state));
}

}  // namespace microbatch::inline v0_1
