// What a source has to do with its group: assignments, commits, and what it tells of them.

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <exception>
#include <span>
#include <utility>

#include "group_offsets.hpp"
#include "source_impl.hpp"

namespace microbatch::inline v0_1::kafka {
namespace {

using namespace std::chrono_literals;

constexpr auto request_time = 5s;  // for an answer of the group's coordinator
constexpr auto look_time = 100ms;  // between looks whether a transaction has ended

std::span<rd_kafka_topic_partition_t> each(rd_kafka_topic_partition_list_t& list) {
  return {list.elems, static_cast<std::size_t>(list.cnt)};
}

std::string names(rd_kafka_topic_partition_list_t& list) {
  std::string text;
  for (const auto& partition : each(list))
    text += fmt::format(" {}[{}]", partition.topic, partition.partition);
  return text;
}

}  // namespace

void Source::Impl::on_rebalance(rd_kafka_t*, rd_kafka_resp_err_t code,
                                rd_kafka_topic_partition_list_t* partitions, void* opaque) {
  auto& self = *static_cast<Impl*>(static_cast<detail::Client*>(opaque)->opaque());
  if (self.polling_more_)
    self.announced_ =
        Rebalance{code, detail::PartitionList(rd_kafka_topic_partition_list_copy(partitions))};
  else
    self.rebalance(code, *partitions);
}

void Source::Impl::rebalance(rd_kafka_resp_err_t code,
                             rd_kafka_topic_partition_list_t& partitions) {
  const bool assigned = code == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
  try {
    if (assigned)
      assign(partitions);
    else
      revoke(partitions);
  } catch (...) {  // it must not pass through librdkafka
    if (!failure_) failure_ = std::current_exception();
  }
  // Whatever happened, librdkafka waits for its answer.
  rd_kafka_t* const consumer = client_->get();
  const char* const protocol = rd_kafka_rebalance_protocol(consumer);
  const bool incremental = protocol != nullptr && std::strcmp(protocol, "COOPERATIVE") == 0;
  if (incremental) {
    const detail::KafkaError error(assigned ? rd_kafka_incremental_assign(consumer, &partitions)
                                            : rd_kafka_incremental_unassign(consumer, &partitions));
    if (error) client_->tell(fmt::format("kafka::Source: {}", rd_kafka_error_string(error.get())));
  } else {
    rd_kafka_assign(consumer, assigned ? &partitions : nullptr);
  }
  if (assigned && paused_) rd_kafka_pause_partitions(consumer, &partitions);
}

void Source::Impl::assign(rd_kafka_topic_partition_list_t& partitions) {
  rebalances_.fetch_add(1, std::memory_order_relaxed);
  client_->tell("kafka::Source: assigned" + names(partitions));
  if (transactional_ || options_.start_at) find_start(partitions);
  last_ = nullptr;
  rejoining_ = false;
  next_commit_ = microbatch::detail::later(steady_clock().now(), options_.commit_interval);
  std::vector<std::uint32_t> ids;
  {
    std::lock_guard lock(assignments_.mutex);
    for (auto& partition : each(partitions)) {
      auto& made = assignments_.add(partition.topic, partition.partition);
      ids.push_back(made.id);
      made.waits = partition.err != RD_KAFKA_RESP_ERR_NO_ERROR;
      if (!made.waits) continue;
      next_look_ = microbatch::detail::later(steady_clock().now(), look_time);
      partition.offset = RD_KAFKA_OFFSET_END;  // to be there, with little to read
      partition.err = RD_KAFKA_RESP_ERR_NO_ERROR;
    }
  }
  // Windows by event time must not be over before each partition's backlog has begun.
  for (const std::uint32_t id : ids) feed_->mark_awaited(id);
  awaited_until_ = microbatch::detail::later(steady_clock().now(), options_.connect_timeout);
}

void Source::Impl::find_start(rd_kafka_topic_partition_list_t& partitions) {
  if (partitions.cnt == 0) return;
  const std::string group = *options_.properties.get("group.id");
  const auto code = detail::find_committed(client_->get(), group.c_str(), partitions, request_time);
  if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
    client_->tell(client_->describe(code, "the group's committed offsets"));
    for (auto& partition : each(partitions)) partition.err = code;
  } else if (options_.start_at) {
    find_start_time(partitions);
  }
}

void Source::Impl::find_start_time(rd_kafka_topic_partition_list_t& partitions) {
  const auto wanted = detail::make_list(partitions.cnt);
  for (const auto& partition : each(partitions)) {
    if (partition.offset >= 0 || partition.err != RD_KAFKA_RESP_ERR_NO_ERROR) continue;
    rd_kafka_topic_partition_list_add(wanted.get(), partition.topic, partition.partition)->offset =
        options_.start_at->time_since_epoch().count();
  }
  if (wanted->cnt == 0) return;
  const auto code =
      rd_kafka_offsets_for_times(client_->get(), wanted.get(), detail::milliseconds(request_time));
  if (code != RD_KAFKA_RESP_ERR_NO_ERROR) client_->fail(code, "SourceOptions.start_at");
  for (const auto& found : each(*wanted))
    rd_kafka_topic_partition_list_find(&partitions, found.topic, found.partition)->offset =
        found.offset >= 0 ? found.offset : RD_KAFKA_OFFSET_END;
}

void Source::Impl::begin_waiting() {
  if (steady_clock().now() < next_look_) return;
  next_look_ = never;
  const auto list = detail::make_list(1);
  {
    std::lock_guard lock(assignments_.mutex);
    for (const auto& assignment : assignments_.all())
      if (assignment->waits)
        rd_kafka_topic_partition_list_add(list.get(), assignment->topic.name().c_str(),
                                          assignment->partition);
  }
  if (list->cnt == 0) return;
  find_start(*list);
  for (const auto& partition : each(*list)) {
    auto code = partition.err;
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR && code != RD_KAFKA_RESP_ERR_UNSTABLE_OFFSET_COMMIT)
      client_->tell(client_->describe(code, "a partition's begin"));
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
      const detail::TopicHandle topic(rd_kafka_topic_new(client_->get(), partition.topic, nullptr));
      // An offset that is none stands for auto.offset.reset here.
      code = rd_kafka_seek(topic.get(), partition.partition, partition.offset,
                           detail::milliseconds(request_time));
    }
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
      std::lock_guard lock(assignments_.mutex);
      assignments_.find(partition.topic, partition.partition)->waits = false;
    } else {
      next_look_ = microbatch::detail::later(steady_clock().now(), look_time);
      if (code == RD_KAFKA_RESP_ERR__TIMED_OUT) return;  // the group must hear of us
    }
  }
}

void Source::Impl::revoke(rd_kafka_topic_partition_list_t& partitions) {
  rebalances_.fetch_add(1, std::memory_order_relaxed);
  const bool lost = rd_kafka_assignment_lost(client_->get()) != 0;
  client_->tell((lost ? "kafka::Source: lost" : "kafka::Source: revoked") + names(partitions));
  std::vector<std::uint32_t> ids;
  {
    std::lock_guard lock(assignments_.mutex);
    for (const auto& partition : each(partitions))
      if (const auto* gone = assignments_.find(partition.topic, partition.partition))
        ids.push_back(gone->id);
  }
  const auto goes = [&](std::uint32_t id) {
    return std::find(ids.begin(), ids.end(), id) != ids.end();
  };
  // Their next owner reads what was not appended yet.
  std::erase_if(backlog_, [&](const Record& record) { return goes(record.assignment); });
  std::erase_if(origins_, [&](const Origin& origin) { return goes(origin.partition); });
  std::exception_ptr error;
  if (!lost && !closing_) {
    try {
      if (!feed_->flush(options_.revoke_timeout))
        client_->tell(
            "kafka::Source: what is in flight did not end within revoke_timeout; its next "
            "owner reads it again");
    } catch (...) {
      error = std::current_exception();
    }
    commit_synchronously();
  }
  last_ = nullptr;
  rejoining_ = true;
  {
    std::lock_guard lock(assignments_.mutex);
    for (const std::uint32_t id : ids) assignments_.remove(id);
  }
  if (feed_ != nullptr)
    for (const std::uint32_t id : ids) feed_->end_partition(id);
  if (error) std::rethrow_exception(error);
}

void Source::Impl::commit(Origin last) {
  std::lock_guard lock(assignments_.mutex);
  // Of an assignment that has gone: nobody may commit it but its next owner.
  if (auto* assignment = assignments_.find(last.partition)) assignment->settle(last.offset + 1);
}

detail::PartitionList Source::Impl::take_commits() {
  auto list = detail::make_list(1);
  std::lock_guard lock(assignments_.mutex);
  for (const auto& assignment : assignments_.all()) {
    if (assignment->settled <= assignment->told) continue;
    assignment->told = assignment->settled;
    rd_kafka_topic_partition_list_add(list.get(), assignment->topic.name().c_str(),
                                      assignment->partition)
        ->offset = assignment->settled;
  }
  return list;
}

void Source::Impl::commit_now_and_then() {
  const TimePoint now = steady_clock().now();
  if (transactional_ || rejoining_ || now < next_commit_) return;
  next_commit_ = microbatch::detail::later(now, options_.commit_interval);
  const auto list = take_commits();
  if (list->cnt == 0) return;
  const auto code = rd_kafka_commit(client_->get(), list.get(), 1);
  if (code != RD_KAFKA_RESP_ERR_NO_ERROR) refused(code, list.get());
}

void Source::Impl::commit_synchronously() {
  if (transactional_) return;
  const auto list = take_commits();
  if (list->cnt == 0) return;
  rd_kafka_t* const consumer = client_->get();
  const detail::Queue answers(rd_kafka_queue_new(consumer));
  auto code = rd_kafka_commit_queue(consumer, list.get(), answers.get(), nullptr, nullptr);
  if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
    const detail::Event event(
        rd_kafka_queue_poll(answers.get(), detail::milliseconds(request_time)));
    code = event ? rd_kafka_event_error(event.get()) : RD_KAFKA_RESP_ERR__TIMED_OUT;
  }
  if (code != RD_KAFKA_RESP_ERR_NO_ERROR) refused(code, list.get());
}

void Source::Impl::on_commit(rd_kafka_t*, rd_kafka_resp_err_t code,
                             rd_kafka_topic_partition_list_t* offsets, void* opaque) {
  auto& self = *static_cast<Impl*>(static_cast<detail::Client*>(opaque)->opaque());
  if (code == RD_KAFKA_RESP_ERR__NO_OFFSET) return;
  if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
    for (const auto& partition : each(*offsets))
      if (partition.err != RD_KAFKA_RESP_ERR_NO_ERROR) code = partition.err;
  if (code != RD_KAFKA_RESP_ERR_NO_ERROR) self.refused(code, offsets);
}

void Source::Impl::refused(rd_kafka_resp_err_t code,
                           const rd_kafka_topic_partition_list_t* offsets) {
  refused_commits_.fetch_add(1, std::memory_order_relaxed);
  {
    std::lock_guard lock(assignments_.mutex);  // the next commit tries again
    for (int i = 0; i < offsets->cnt; ++i)
      if (auto* of = assignments_.find(offsets->elems[i].topic, offsets->elems[i].partition))
        of->told = -1;
  }
  client_->tell(client_->describe(code, "a commit was refused"));
}

SourceStats Source::Impl::stats() {
  SourceStats stats{.records = records_.load(std::memory_order_relaxed),
                    .rebalances = rebalances_.load(std::memory_order_relaxed),
                    .refused_commits = refused_commits_.load(std::memory_order_relaxed),
                    .pauses = pauses_.load(std::memory_order_relaxed)};
  const TimePoint now = steady_clock().now();
  std::lock_guard lock(assignments_.mutex);
  for (const auto& assignment : assignments_.all()) {
    std::int64_t low = -1;
    std::int64_t high = -1;
    // What librdkafka has heard last: no request. The client lives while there are assignments.
    if (rd_kafka_get_watermark_offsets(client_->get(), assignment->topic.name().c_str(),
                                       assignment->partition, &low,
                                       &high) != RD_KAFKA_RESP_ERR_NO_ERROR)
      high = -1;
    stats.partitions.push_back({.topic = assignment->topic,
                                .partition = assignment->partition,
                                .position = assignment->position,
                                .committed = assignment->settled,
                                .end = high,
                                .lag = high >= 0 && assignment->settled >= 0
                                           ? std::max<std::int64_t>(0, high - assignment->settled)
                                           : 0,
                                .oldest_unsettled = assignment->oldest_unsettled(now)});
  }
  return stats;
}

Source::Source(SourceOptions options) : impl_(std::make_unique<Impl>(std::move(options))) {}
Source::Source(Source&&) noexcept = default;
Source& Source::operator=(Source&&) noexcept = default;
Source::~Source() = default;

void Source::run(Feed<Record>& feed, std::stop_token stop) { impl_->run(feed, stop); }
void Source::commit(Origin last) { impl_->commit(last); }
SourceStats Source::stats() const { return impl_->stats(); }

}  // namespace microbatch::inline v0_1::kafka
