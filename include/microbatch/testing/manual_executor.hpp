#pragma once

#include <algorithm>
#include <cstddef>
#include <deque>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "../concepts/executor.hpp"

namespace microbatch::inline v0_1::testing {

/// An executor and engine host without a thread: nothing happens but in step() and run_ready(), on
/// the thread that calls them. With a ManualClock a test of a consumer is exact and never sleeps.
///
///     microbatch::testing::ManualClock clock;
///     microbatch::testing::ManualExecutor executor;
///     microbatch::Stream<int> stream({.clock = clock});
///     auto consumer = microbatch::streaming(stream, MaxAgeWindow{2s}, callback, {.executor =
///     executor}); stream.append(1); clock.advance(2s); executor.run_ready();        // the
///     callback has run
class ManualExecutor {
 public:
  void execute(Task task) {
    std::lock_guard lock(mutex_);
    tasks_.push_back(std::move(task));
  }

  [[nodiscard]] std::shared_ptr<Attachment> attach(std::shared_ptr<Steppable> engine) {
    auto place = std::make_shared<Place>(std::move(engine));
    std::lock_guard lock(mutex_);
    places_.push_back(place);
    return place;
  }

  /// Does one thing: runs a task, takes a turn, or performs the job that a turn found. False if
  /// there is nothing to do at this time.
  bool step() {
    if (auto [engine, job] = take_job(); job != nullptr) {
      engine->perform(job);
      return true;
    }
    if (Task task = take_task()) {
      task();
      return true;
    }
    for (const auto& place : snapshot()) {
      const auto engine = place->due();
      if (!engine) continue;
      const Steppable::Turn turn = engine->turn(false);
      place->took(turn);
      if (turn.job != nullptr) {
        std::lock_guard lock(mutex_);
        jobs_.push_back({engine, turn.job});
      }
      return true;
    }
    return false;
  }

  /// Steps until there is nothing to do at this time; returns how many steps it took.
  std::size_t run_ready() {
    std::size_t steps = 0;
    while (step()) ++steps;
    return steps;
  }

  /// Pretend to have so many workers: how many windows may be in flight by default.
  explicit ManualExecutor(std::size_t workers = 1) noexcept : workers_(workers) {}
  ~ManualExecutor() {
    for (const auto& place : snapshot())
      if (const auto engine = place->engine()) engine->host_gone();
  }
  [[nodiscard]] std::size_t workers() const noexcept { return workers_; }

 private:
  class Place final : public Attachment {
   public:
    explicit Place(std::shared_ptr<Steppable> engine) : engine_(std::move(engine)) {}

    void notify() noexcept override {
      std::lock_guard lock(mutex_);
      notified_ = true;
    }
    void detach() noexcept override {
      std::lock_guard lock(mutex_);
      engine_ = nullptr;
    }
    [[nodiscard]] std::shared_ptr<Steppable> engine() {
      std::lock_guard lock(mutex_);
      return engine_;
    }
    /// The engine, if it wants a turn now.
    [[nodiscard]] std::shared_ptr<Steppable> due() {
      std::lock_guard lock(mutex_);
      if (!engine_ || !(std::exchange(notified_, false) || next_ <= engine_->now())) return nullptr;
      next_ = never;
      return engine_;
    }
    void took(const Steppable::Turn& turn) {
      std::lock_guard lock(mutex_);
      next_ = turn.next;
      if (turn.job != nullptr) notified_ = true;  // after the job, or beside it: another turn
    }

   private:
    std::mutex mutex_;
    std::shared_ptr<Steppable> engine_;
    TimePoint next_ = never;
    bool notified_ = true;
  };

  struct Job {
    std::shared_ptr<Steppable> engine;
    void* job = nullptr;
  };

  Job take_job() {
    std::lock_guard lock(mutex_);
    if (jobs_.empty()) return {};
    Job job = std::move(jobs_.front());
    jobs_.pop_front();
    return job;
  }
  Task take_task() {
    std::lock_guard lock(mutex_);
    if (tasks_.empty()) return {};
    Task task = std::move(tasks_.front());
    tasks_.pop_front();
    return task;
  }
  std::vector<std::shared_ptr<Place>> snapshot() {
    std::lock_guard lock(mutex_);
    return places_;
  }

  const std::size_t workers_;
  std::mutex mutex_;
  std::deque<Task> tasks_;
  std::deque<Job> jobs_;
  std::vector<std::shared_ptr<Place>> places_;
};

}  // namespace microbatch::inline v0_1::testing
