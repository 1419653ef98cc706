#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "topic.hpp"

namespace microbatch::inline v0_1::kafka {

/// Milliseconds since 1970, as Kafka keeps them.
using Timestamp = std::chrono::sys_time<std::chrono::milliseconds>;

enum class TimestampKind : std::uint8_t { none, create, log_append };

struct Header {
  std::string name;
  std::optional<std::string> value;  ///< Kafka tells a null from an empty value

  friend bool operator==(const Header&, const Header&) = default;
};

/// One record of a topic: what a Source brings in, and what a Sink takes out.
struct Record {
  static constexpr std::int32_t any_partition = -1;

  Topic topic{};                           ///< to a sink, empty: the sink's topic
  std::int32_t partition = any_partition;  ///< to a sink, any: by the hash of the key
  std::int64_t offset = -1;                ///< within its partition; a sink ignores it
  std::uint32_t assignment = 0;            ///< by which assignment it came; a sink ignores it
  TimestampKind timestamp_kind = TimestampKind::none;
  Timestamp timestamp{};             ///< to a sink, kind none: the time of the put
  std::optional<std::string> key{};  ///< Kafka tells a null from an empty key or value
  std::optional<std::string> value{};
  std::vector<Header> headers{};

  friend bool operator==(const Record&, const Record&) = default;
};

}  // namespace microbatch::inline v0_1::kafka
