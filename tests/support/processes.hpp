#pragma once

#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <exception>

namespace stress {

/// Runs f in a process of its own, which ends well unless f throws; that is told as forbidden.
template <class F>
pid_t in_child(F f) {
  const pid_t child = fork();
  if (child != 0) return child;
  int answer = 1;
  try {
    f();
    answer = 0;
  } catch (const std::exception& error) {
    fmt::print("  FORBIDDEN: a process fails: {}\n", error.what());
    std::fflush(stdout);
  }
  _exit(answer);
}

/// Waits for its end; true if it ended well by itself.
inline bool ended_well(pid_t child) {
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

}  // namespace stress
