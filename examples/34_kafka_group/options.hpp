#pragma once

#include <microbatch/kafka/properties.hpp>
#include <stdexcept>
#include <string>

namespace group {

struct Options {
  std::string broker{};
  std::string from{};
  std::string to{};
  std::string group{};
  std::string member{};  // empty: conducts the whole
  int records = 60'000;
  int per_second = 6'000;
  microbatch::kafka::Properties properties{};  // more of librdkafka's
  bool help = false;
};

/// Names the option, what it was, and what was expected.
struct BadOption : std::runtime_error {
  using std::runtime_error::runtime_error;
};

extern const char* const help_text;

Options parse_options(int count, const char* const* arguments);

/// The broker and what else the user has said, and these.
microbatch::kafka::Properties properties_of(const Options& options,
                                            const microbatch::kafka::Properties& more);

}  // namespace group
