#pragma once

#include <utility>

#include "../concepts/executor.hpp"

namespace microbatch {

/// Runs a task where it is handed over: on the thread that steps the engine.
struct InlineExecutor {
  void execute(Task task) { task(); }
};

}  // namespace microbatch
