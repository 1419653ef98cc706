#pragma once

#include <exception>
#include <memory>
#include <utility>

#include "../core/errors.hpp"

namespace microbatch::inline v0_1::detail {

/// A job on its way through a foreign executor. It keeps its engine alive, runs the job once, and
/// tells the engine if it is destroyed unrun: a stopped pool must not lose a window.
template <class Engine>
class Ticket {
 public:
  Ticket(std::shared_ptr<Engine> engine, void* job) noexcept
      : engine_(std::move(engine)), job_(job) {}
  Ticket(Ticket&&) noexcept = default;
  Ticket& operator=(Ticket&&) = delete;
  ~Ticket() {
    if (engine_)
      engine_->refused(job_, std::make_exception_ptr(ExecutorError(
                                 "executor: it destroyed a task without running it")));
  }

  void operator()() {
    const auto engine = std::move(engine_);
    engine->run(job_);
    engine->ring();
  }

 private:
  std::shared_ptr<Engine> engine_;
  void* job_;
};

}  // namespace microbatch::inline v0_1::detail
