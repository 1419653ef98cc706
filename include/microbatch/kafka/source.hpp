#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "../core/clock.hpp"
#include "../pipeline.hpp"
#include "errors.hpp"
#include "properties.hpp"
#include "record.hpp"

namespace microbatch::inline v0_1::kafka {

struct SourceOptions {
  Properties properties{};            ///< bootstrap.servers and group.id at least
  std::vector<std::string> topics{};  ///< a name that begins with ^ is a regular expression
  /// Where the group has committed nothing yet, begin at the first record of that time or later;
  /// without it, auto.offset.reset decides.
  std::optional<Timestamp> start_at{};
  Duration connect_timeout = std::chrono::seconds(30);  ///< no broker until then: run() throws
  Duration commit_interval = std::chrono::seconds(1);   ///< between commits to the broker
  /// How long a rebalance waits for what is in flight of the partitions that go. What has not ended
  /// by then is not committed, and its next owner reads it again. Keep it below
  /// max.poll.interval.ms.
  Duration revoke_timeout = std::chrono::seconds(10);
  /// Outages, refused commits, rebalances and librdkafka's log, in words and without secrets.
  /// Called by threads of the source and of librdkafka.
  std::function<void(const std::string&)> on_event{};
};

/// How far a partition has come.
struct PartitionStats {
  std::string topic;
  std::int32_t partition = 0;
  std::int64_t position = -1;   ///< the next offset to be read; -1: none yet
  std::int64_t committed = -1;  ///< everything below it has ended; -1: not known yet
  std::int64_t end = -1;        ///< the partition's end, as last heard; -1: not yet
  std::int64_t lag = 0;         ///< end - committed: what is left to do
  Duration oldest_unsettled{};  ///< at most so long ago the item that holds back the commit came
};

struct SourceStats {
  std::vector<PartitionStats> partitions{};  ///< those that are assigned now
  std::uint64_t records = 0;                 ///< appended
  std::uint64_t rebalances = 0;
  std::uint64_t refused_commits = 0;
  std::uint64_t pauses = 0;  ///< how often the stream was full for so long that reading was paused
};

/// Reads the partitions of a consumer group and commits what has ended: at least once.
///
/// Use it with run(). It commits a record only when its window, and the sink's put, have succeeded
/// (or it ended as a dead letter): the contiguous prefix per partition, plus one. In a rebalance it
/// lets what is in flight end, commits, and then gives the partitions away; with a cooperative
/// partition.assignment.strategy only those that go. While the stream is full it pauses the
/// partitions and stays in the group.
///
/// Threads: run() by one; stats() by any; commit() by the engine's.
/// Errors: ConfigError at construction for a property that librdkafka does not know, a value it
/// does not take, a property that is the source's own (enable.auto.commit, ...),
/// no topic, no group. run() throws Unavailable when no broker answers in time, and Error for what
/// will not pass: a topic that is missing, credentials or a certificate that are refused.
///
///     microbatch::kafka::Source source({
///         .properties = {{"bootstrap.servers", "localhost:9092"}, {"group.id", "reports"}},
///         .topics = {"orders"}});
///     microbatch::run(source, microbatch::CountWindow{1000}, callback);
class Source {
 public:
  using value_type = Record;

  explicit Source(SourceOptions options);
  Source(Source&&) noexcept;
  Source& operator=(Source&&) noexcept;
  ~Source();

  void run(Feed<Record>& feed, std::stop_token stop);
  void commit(Origin last);
  [[nodiscard]] SourceStats stats() const;

 private:
  friend class Transactions;

  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace microbatch::inline v0_1::kafka
