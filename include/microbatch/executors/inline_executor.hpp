#pragma once

#include <utility>

#include "../concepts/executor.hpp"

namespace microbatch::inline v0_1 {

/// Runs a task where it is handed over: on the thread that steps the engine.
struct InlineExecutor {
  void execute(Task task) { task(); }
};

}  // namespace microbatch::inline v0_1
