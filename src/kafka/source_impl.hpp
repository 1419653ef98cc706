#pragma once

#include <microbatch/kafka/source.hpp>

#include <atomic>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "assignments.hpp"
#include "client.hpp"

namespace microbatch::inline v0_1::kafka {

/// A member of a consumer group: the loop that reads, what a rebalance does, and commits.
///
/// Threads: the source's, except commit(), stats() and what says so.
class Source::Impl {
 public:
  explicit Impl(SourceOptions options);
  ~Impl();

  void run(Feed<Record>& feed, const std::stop_token& stop);
  void commit(Origin last);           // any thread
  [[nodiscard]] SourceStats stats();  // any thread

  /// From now on the broker hears of commits by transactions only.
  void leave_commits_to_transactions() noexcept { transactional_ = true; }
  [[nodiscard]] detail::Assignments& assignments() noexcept { return assignments_; }
  /// Any thread. While run() runs; null otherwise.
  [[nodiscard]] std::shared_ptr<detail::Client> client() {
    std::lock_guard lock(assignments_.mutex);
    return client_;
  }

 private:
  [[nodiscard]] detail::Client::Setup setup();
  void open(const std::stop_token& stop);
  void read(Feed<Record>& feed, const std::stop_token& stop);
  void finish(Feed<Record>& feed);
  void close();

  bool wait_for_message();
  void wake_fetching();
  /// Waits for a message; a record goes to backlog_. False when nothing came.
  bool poll(int timeout_ms);
  /// What else has come already, up to so many in all.
  void poll_more();
  void see_to_announced();
  void sort(const rd_kafka_message_t& message);
  void take(const rd_kafka_message_t& message);
  void take_error(const rd_kafka_message_t& message);
  void take_end(const rd_kafka_message_t& message);
  /// A partition whose broker is away must not hold back windows by event time for ever.
  void wait_no_longer();
  /// Whether the feed still takes records.
  bool append_backlog(Feed<Record>& feed);
  void forget_backlog(std::size_t n);
  void wait_for_room(AppendResult result);
  void advance(std::span<const Origin> appended);
  void pause();
  void resume();

  static void on_rebalance(rd_kafka_t*, rd_kafka_resp_err_t code,
                           rd_kafka_topic_partition_list_t* partitions, void* opaque);
  static void on_commit(rd_kafka_t*, rd_kafka_resp_err_t code,
                        rd_kafka_topic_partition_list_t* offsets, void* opaque);
  void rebalance(rd_kafka_resp_err_t code, rd_kafka_topic_partition_list_t& partitions);
  void assign(rd_kafka_topic_partition_list_t& partitions);
  void revoke(rd_kafka_topic_partition_list_t& partitions);
  /// Sets the offset where each partition begins; err where that cannot be said yet.
  void find_start(rd_kafka_topic_partition_list_t& partitions);
  /// Where the group has committed nothing: the offsets of options_.start_at.
  void find_start_time(rd_kafka_topic_partition_list_t& partitions);
  /// Looks now and then where the partitions that wait begin.
  void begin_waiting();

  /// What has ended since the broker was told last.
  [[nodiscard]] detail::PartitionList take_commits();
  void commit_now_and_then();
  void commit_synchronously();
  void refused(rd_kafka_resp_err_t code, const rd_kafka_topic_partition_list_t* offsets);

  const SourceOptions options_;
  std::shared_ptr<detail::Client> client_;  // changed under the mutex of assignments_
  Feed<Record>* feed_ = nullptr;            // while run() runs
  detail::Assignments assignments_;
  detail::Assignment* last_ = nullptr;            // of the last record
  const rd_kafka_topic_t* last_topic_ = nullptr;  // its topic, as librdkafka has it
  std::vector<Record> backlog_;                   // read, and not yet appended
  std::vector<Origin> origins_;                   // of backlog_
  detail::Queue messages_;                        // the client's, for poll_more(); null: not used
  /// A rebalance that was announced within poll_more(), and is seen to after it.
  struct Rebalance {
    rd_kafka_resp_err_t code;
    detail::PartitionList partitions;
  };
  std::optional<Rebalance> announced_;
  bool polling_more_ = false;
  TimePoint full_since_ = never;
  TimePoint next_poll_{};  // at the latest, also while the stream is slow to take the backlog
  TimePoint next_commit_{};
  TimePoint awaited_until_ = never;  // the first records of what was assigned
  TimePoint next_look_ = never;      // while a partition waits
  bool records_came_ = false;        // since wake_fetching()
  bool paused_ = false;
  bool closing_ = false;
  /// Between giving partitions away and hearing what is left: a commit that crosses the group's new
  /// generation on its way would cost us all of them.
  bool rejoining_ = false;
  bool transactional_ = false;
  std::exception_ptr failure_;  // of a callback of librdkafka's

  std::atomic<std::uint64_t> records_{0};  // only counted
  std::atomic<std::uint64_t> rebalances_{0};
  std::atomic<std::uint64_t> refused_commits_{0};
  std::atomic<std::uint64_t> pauses_{0};
};

}  // namespace microbatch::inline v0_1::kafka
