#pragma once

#include <chrono>
#include <filesystem>
#include <microbatch/kafka/properties.hpp>
#include <stdexcept>
#include <string>

namespace batches {

enum class Format { csv, jsonl };

struct Options {
  std::string broker{};
  std::string topic{};
  std::string group{};
  microbatch::kafka::Properties properties{};  // more of librdkafka's
  std::chrono::seconds batch_interval{60};
  std::chrono::milliseconds poll_interval{1000};
  std::chrono::seconds out_of_order{0};
  std::filesystem::path output = "batches";
  std::filesystem::path late{};  // empty: a folder `late` in the output
  Format format = Format::csv;
  bool help = false;
};

/// Names the option, what it was, and what was expected.
struct BadOption : std::runtime_error {
  using std::runtime_error::runtime_error;
};

extern const char* const help_text;

Options parse_options(int count, const char* const* arguments);

}  // namespace batches
