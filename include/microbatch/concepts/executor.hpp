#pragma once

#include <concepts>
#include <memory>
#include <utility>

#include "../core/clock.hpp"
#include "../core/task.hpp"

namespace microbatch::inline v0_1 {

/// Where callbacks run. execute(task) runs the task exactly once, on whatever thread, at whatever
/// time; or it throws and runs it never. A task that is destroyed unrun says so to the engine.
///
/// Optional: `std::size_t workers()`, how many tasks run at a time: the default of
/// ConsumerOptions::max_in_flight, which is 1 without it.
/// Models: ThreadPool, InlineExecutor, testing::ManualExecutor, adapters for an Asio pool or a TBB
/// arena (examples/). The smallest one:
///
///     struct OnTheSpot { void execute(microbatch::Task task) { task(); } };
template <class E>
concept Executor = requires(E& executor, Task task) { executor.execute(std::move(task)); };

/// What an engine shows to whoever lends it a thread: turns under the engine's token, and jobs
/// (callbacks) outside of it.
class Steppable {
 public:
  struct Turn {
    TimePoint next = never;  ///< take another turn then, or when notified
    void* job = nullptr;     ///< perform() this; then take another turn
    bool more = false;       ///< another thread may well find another job at once
  };

  virtual ~Steppable() = default;
  [[nodiscard]] virtual Turn turn(bool may_spin) = 0;
  virtual void perform(void* job) = 0;
  [[nodiscard]] virtual TimePoint now() const noexcept = 0;
  /// The host has been stopped and takes no more turns.
  virtual void host_gone() noexcept = 0;
  /// False: `next` is no time that a thread can sleep until (a manual clock); wait to be notified.
  [[nodiscard]] virtual bool runs_by_itself() const noexcept = 0;
};

/// An engine's place at its host. After detach() has returned no new turn begins; a job that is
/// running goes on.
class Attachment {
 public:
  virtual ~Attachment() = default;
  virtual void notify() noexcept = 0;
  virtual void detach() noexcept = 0;
};

/// An executor that also drives engines: it takes their turns and performs their jobs on the same
/// threads, so that a full window costs one wake-up. Several engines can share one host.
///
/// Models: ThreadPool, testing::ManualExecutor.
template <class H>
concept EngineHost = Executor<H> && requires(H& host, std::shared_ptr<Steppable> engine) {
  { host.attach(std::move(engine)) } -> std::same_as<std::shared_ptr<Attachment>>;
};

}  // namespace microbatch::inline v0_1
