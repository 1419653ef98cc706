#pragma once

#include <stdexcept>

#include "../core/errors.hpp"

namespace microbatch::inline v0_1::mongodb {

/// The server refuses something, and will go on refusing it: a user, a document, a command. The
/// text names the setting where a setting is the cause.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// No server is there, or it cannot serve us now. What was tried is tried again.
class Unavailable : public TransientError {
 public:
  using TransientError::TransientError;
};

}  // namespace microbatch::inline v0_1::mongodb
