#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include "../concepts/executor.hpp"
#include "../core/thread_role.hpp"

namespace microbatch::inline v0_1 {

struct ThreadPoolOptions {
  std::size_t workers = 1;  ///< 1 to 1024
  /// Called first on each new worker, with its number from 0 (to name it, pin it, lower its
  /// priority). If it throws, the constructor throws.
  std::function<void(std::size_t)> on_thread_start{};
  /// Its threads are called `name-0`, `name-1`, ... where the system has names for threads.
  std::string name = "microbatch";
};

/// A fixed number of threads that drive engines and run tasks. A worker leads: it takes an engine's
/// turn, leaves the next turn to another worker where there may be more to do, and runs the
/// callback itself, so that a full window costs one wake-up and a stuck callback blocks nobody but
/// its worker.
///
/// Use one pool for many consumers; a hundred streams need no hundred threads. A pool must outlive
/// the consumers on it. Idle workers sleep; nothing polls.
/// Threads: any. Errors: ConfigError for a number of workers out of range; std::system_error where
/// a thread cannot be started (those that were are joined).
///
///     microbatch::ThreadPool pool{4};
///     auto consumer = microbatch::streaming(stream, emitter, callback, {.executor = pool});
class ThreadPool {
 public:
  explicit ThreadPool(std::size_t workers) : ThreadPool(ThreadPoolOptions{.workers = workers}) {}
  explicit ThreadPool(ThreadPoolOptions options);
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;
  /// stop(), then waits for the workers.
  ~ThreadPool();

  /// Runs the task on a worker. Throws ExecutorError after stop().
  void execute(Task task);

  /// Drives an engine until it is detached.
  [[nodiscard]] std::shared_ptr<Attachment> attach(std::shared_ptr<Steppable> engine);

  /// No new tasks and turns. Tasks that were accepted are destroyed unrun (and say so).
  void stop() noexcept;
  /// After stop(): does not wait for the workers; they end when what they run returns.
  void abandon() noexcept;

  [[nodiscard]] std::size_t workers() const noexcept;
  [[nodiscard]] detail::HostThreads& threads() const noexcept;

 private:
  class State;
  std::shared_ptr<State> state_;
};

}  // namespace microbatch::inline v0_1
