#pragma once

#include <stdexcept>
#include <string>

namespace microbatch::inline v0_1 {

/// A setting that cannot work. Thrown by constructors, before any thread starts; the text names the
/// field, the value and what was expected.
class ConfigError : public std::invalid_argument {
 public:
  using std::invalid_argument::invalid_argument;
};

/// A call that cannot be right where it stands, such as flush() from inside one's own callback.
class UsageError : public std::logic_error {
 public:
  using std::logic_error::logic_error;
};

/// The executor refused a task or destroyed it unrun.
class ExecutorError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Throw this (or a class derived from it) from a callback or sink to say that the failure lies
/// outside the items: the window is retried and never taken apart.
class TransientError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace microbatch::inline v0_1
