#pragma once

#include <stdexcept>
#include <string>

#include "../core/errors.hpp"

namespace microbatch::inline v0_1::kafka {

/// Kafka refused something, and will go on refusing it: a record, a topic, a user. The text names
/// the setting where a setting is the cause.
class Error : public std::runtime_error {
 public:
  Error(const std::string& text, int code) : std::runtime_error(text), code_(code) {}

  /// librdkafka's rd_kafka_resp_err_t.
  [[nodiscard]] int code() const noexcept { return code_; }

 private:
  int code_;
};

/// No broker is there, or it cannot serve us now. It may pass: what was tried is tried again.
class Unavailable : public TransientError {
 public:
  Unavailable(const std::string& text, int code) : TransientError(text), code_(code) {}

  [[nodiscard]] int code() const noexcept { return code_; }

 private:
  int code_;
};

}  // namespace microbatch::inline v0_1::kafka
