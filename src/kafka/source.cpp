#include "source_impl.hpp"

#include <fmt/format.h>

#include <array>
#include <exception>
#include <thread>
#include <utility>

namespace microbatch::inline v0_1::kafka {
namespace {

using namespace std::chrono_literals;

constexpr auto poll_time = 100ms;        // between looks at the stop token and the commits
constexpr auto stall_time = 20ms;        // without a record, where there are more
constexpr std::size_t at_a_time = 1000;  // records between two looks at the clock
constexpr auto room_time = 200ms;        // how long one attempt to append waits
constexpr auto patience_when_full = 1s;  // then reading pauses, and polling goes on

constexpr int version_2_2 = 0x020200ff;

/// Once librdkafka has fetched so many messages that it fetches no more, it looks again a second
/// later, long after a fast pipeline has emptied its queue: let it look sooner, or, before that can
/// be said, fetch up to its limit in bytes.
Properties::Entry fetch_ahead() {
  if (rd_kafka_version() >= version_2_2) return {"fetch.queue.backoff.ms", "10"};
  return {"queued.min.messages", "1000000"};
}

/// librdkafka's call for many messages at once is cheaper for each. From 2.2 to 2.13.1 it takes the
/// end of a partition for a record, so that one is skipped when reading resumes after a pause.
/// Before 2.1 it loses records where partitions stay in a rebalance, as they do only with a
/// cooperative assignor (its change log, under 2.0.0 and 2.1.0).
bool may_take_many(const Properties& properties) {
  constexpr int version_2_1 = 0x020100ff;
  constexpr int version_2_13_2 = 0x020d02ff;
  const int version = rd_kafka_version();
  if (version < version_2_1)
    return properties.get("partition.assignment.strategy").value_or("").find("cooperative") ==
           std::string::npos;
  return version < version_2_2 || version >= version_2_13_2;
}

}  // namespace

Source::Impl::Impl(SourceOptions options) : options_(std::move(options)) {
  if (options_.topics.empty())
    throw ConfigError("kafka::Source: SourceOptions.topics is empty; expected at least one topic");
  for (const std::string& topic : options_.topics)
    if (topic.empty()) throw ConfigError("kafka::Source: SourceOptions.topics holds an empty name");
  if (options_.properties.get("group.id").value_or("").empty())
    throw ConfigError("kafka::Source: property \"group.id\" is missing; expected the group's name");
  const auto positive = [](const char* name, Duration value) {
    if (value <= Duration::zero())
      throw ConfigError(fmt::format("kafka::Source: SourceOptions.{} must be positive, got {} ns",
                                    name, value.count()));
  };
  positive("connect_timeout", options_.connect_timeout);
  positive("commit_interval", options_.commit_interval);
  positive("revoke_timeout", options_.revoke_timeout);
  detail::Client::check(setup());
}

Source::Impl::~Impl() { close(); }

detail::Client::Setup Source::Impl::setup() {
  return {.who = "kafka::Source",
          .topics_setting = "SourceOptions.topics",
          .type = RD_KAFKA_CONSUMER,
          .properties = options_.properties,
          .fixed = {{"enable.auto.commit", "false"},
                    {"enable.auto.offset.store", "false"},
                    {"enable.partition.eof", "true"}},
          // A group that has committed nothing reads from the start: nothing is lost silently.
          .defaults = {{"auto.offset.reset", "earliest"}, fetch_ahead()},
          .on_event = options_.on_event,
          .callbacks =
              [](rd_kafka_conf_t* conf) {
                rd_kafka_conf_set_rebalance_cb(conf, on_rebalance);
                rd_kafka_conf_set_offset_commit_cb(conf, on_commit);
              },
          .opaque = this};
}

void Source::Impl::run(Feed<Record>& feed, const std::stop_token& stop) {
  if (client_) throw UsageError("kafka::Source::run: it runs already");
  feed_ = &feed;
  try {
    open(stop);
    read(feed, stop);
    finish(feed);
  } catch (...) {
    const auto error = std::current_exception();
    try {
      finish(feed);  // what was read ends, and is committed
    } catch (...) {
    }
    close();
    feed_ = nullptr;
    std::rethrow_exception(error);
  }
  close();
  feed_ = nullptr;
}

void Source::Impl::open(const std::stop_token& stop) {
  {
    auto client = std::make_shared<detail::Client>(setup());
    std::lock_guard lock(assignments_.mutex);
    client_ = std::move(client);
  }
  std::vector<std::string> named;
  for (const std::string& topic : options_.topics)
    if (topic.front() != '^') named.push_back(topic);
  if (!client_->connect(named, options_.connect_timeout, stop)) return;
  const auto topics = detail::make_list(static_cast<int>(options_.topics.size()));
  for (const std::string& topic : options_.topics)
    rd_kafka_topic_partition_list_add(topics.get(), topic.c_str(), RD_KAFKA_PARTITION_UA);
  const auto code = rd_kafka_subscribe(client_->get(), topics.get());
  if (code != RD_KAFKA_RESP_ERR_NO_ERROR) client_->fail(code, "subscribe");
  if (may_take_many(options_.properties))
    messages_.reset(rd_kafka_queue_get_consumer(client_->get()));
}

void Source::Impl::read(Feed<Record>& feed, const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    if (!append_backlog(feed)) return;
    const TimePoint now = steady_clock().now();
    if (backlog_.empty()) {
      next_poll_ = microbatch::detail::later(now, patience_when_full);
      if (wait_for_message()) poll_more();
    } else if (paused_ || now >= next_poll_) {
      next_poll_ = microbatch::detail::later(now, patience_when_full);
      poll(0);  // the group hears of us; a record may come
    }
    commit_now_and_then();
    begin_waiting();
    wait_no_longer();
    client_->check_refused();
  }
}

void Source::Impl::wait_no_longer() {
  if (steady_clock().now() < awaited_until_) return;
  awaited_until_ = never;
  std::vector<std::uint32_t> silent;
  {
    std::lock_guard lock(assignments_.mutex);
    for (const auto& assignment : assignments_.all())
      if (assignment->position < 0) silent.push_back(assignment->id);
  }
  for (const std::uint32_t id : silent) feed_->mark_idle(id);
}

bool Source::Impl::wait_for_message() {
  if (poll(detail::milliseconds(stall_time))) return true;
  wake_fetching();
  return poll(detail::milliseconds(poll_time));
}

/// Before 2.2, librdkafka that has fetched up to a limit sleeps for up to a second, also when all
/// of it has been taken meanwhile. A request to the partition's broker, whatever it asks, wakes it
/// up: one, when records have ceased to come though there are more.
void Source::Impl::wake_fetching() {
  if (rd_kafka_version() >= version_2_2 || paused_ || !std::exchange(records_came_, false)) return;
  for (const auto& at : stats().partitions) {
    if (at.position < 0 || at.end <= at.position) continue;
    std::int64_t low = 0;
    std::int64_t high = 0;
    if (rd_kafka_query_watermark_offsets(client_->get(), at.topic.c_str(), at.partition, &low,
                                         &high, detail::milliseconds(poll_time)) !=
        RD_KAFKA_RESP_ERR_NO_ERROR)
      return;  // it is away; the others can wait
  }
}

bool Source::Impl::poll(int timeout_ms) {
  const detail::Message message(rd_kafka_consumer_poll(client_->get(), timeout_ms));
  if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
  if (!message) return false;
  records_came_ = true;
  sort(*message);
  return true;
}

void Source::Impl::poll_more() {
  if (!messages_) {
    while (backlog_.size() < at_a_time && poll(0)) {
    }
    return;
  }
  std::array<rd_kafka_message_t*, at_a_time> raw;
  // What lies in the queue is of today's assignments, so these stay until all of it is here.
  polling_more_ = true;
  const auto n = rd_kafka_consume_batch_queue(messages_.get(), 0, raw.data(), raw.size());
  polling_more_ = false;
  const auto came = std::span(raw).first(n > 0 ? static_cast<std::size_t>(n) : 0);
  std::size_t next = 0;
  try {
    while (next < came.size()) sort(*detail::Message(came[next++]));
  } catch (...) {
    for (; next < came.size(); ++next) rd_kafka_message_destroy(came[next]);
    throw;
  }
  see_to_announced();
  if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
}

void Source::Impl::see_to_announced() {
  if (!announced_) return;
  const Rebalance now = *std::exchange(announced_, std::nullopt);
  rebalance(now.code, *now.partitions);
}

void Source::Impl::sort(const rd_kafka_message_t& message) {
  if (message.err == RD_KAFKA_RESP_ERR_NO_ERROR)
    take(message);
  else
    take_error(message);
}

void Source::Impl::take(const rd_kafka_message_t& message) {
  if (last_ == nullptr || message.rkt != last_topic_ || message.partition != last_->partition) {
    std::lock_guard lock(assignments_.mutex);
    last_ = assignments_.find(rd_kafka_topic_name(message.rkt), message.partition);
    last_topic_ = message.rkt;
  }
  // Of a partition that has gone, its next owner reads it; and one that waits has not begun.
  if (last_ == nullptr || last_->waits) return;
  if (last_->position < 0) {
    std::lock_guard lock(assignments_.mutex);
    last_->begin(message.offset);  // before commit() can hear of it
  }
  origins_.push_back({.partition = last_->id, .offset = message.offset});
  detail::read(message, *last_, backlog_.emplace_back());
}

void Source::Impl::take_error(const rd_kafka_message_t& message) {
  const auto what =
      fmt::format("topic \"{}\"", message.rkt != nullptr ? rd_kafka_topic_name(message.rkt) : "");
  switch (message.err) {
    case RD_KAFKA_RESP_ERR__PARTITION_EOF:
      take_end(message);
      return;
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
      throw Error(client_->describe(message.err, what + " (SourceOptions.topics)"), message.err);
    case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED:
      throw Error(client_->describe(message.err, "property \"group.id\""), message.err);
    case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
      throw Error(client_->describe(message.err, what + " (property \"auto.offset.reset\")"),
                  message.err);
    case RD_KAFKA_RESP_ERR__FATAL:
      throw Error(client_->describe(rd_kafka_fatal_error(client_->get(), nullptr, 0), what),
                  message.err);
    default:
      client_->tell(client_->describe(message.err, rd_kafka_message_errstr(&message)));
  }
}

void Source::Impl::take_end(const rd_kafka_message_t& message) {
  std::uint32_t id = 0;
  {
    std::lock_guard lock(assignments_.mutex);
    auto* assignment = assignments_.find(rd_kafka_topic_name(message.rkt), message.partition);
    if (assignment == nullptr || assignment->waits || assignment->position >= 0) return;
    assignment->begin(message.offset);
    id = assignment->id;
  }
  feed_->mark_idle(id);  // it has no backlog
}

bool Source::Impl::append_backlog(Feed<Record>& feed) {
  bool open = true;
  if (!backlog_.empty()) {
    const auto done = feed.append_range_for(backlog_, origins_, room_time);
    const auto appended = std::span(origins_).first(done.accepted);
    advance(appended);
    records_.fetch_add(appended.size(), std::memory_order_relaxed);
    if (done.result == AppendResult::too_large) {
      const Origin& origin = origins_[done.accepted];
      throw Error(fmt::format("kafka::Source: the record at offset {} of assignment {} weighs more "
                              "than StreamOptions.max_bytes",
                              origin.offset, origin.partition),
                  RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE);
    }
    open = done.result != AppendResult::closed;
    if (!appended.empty()) full_since_ = never;
    if (open && done.result != AppendResult::accepted) wait_for_room(done.result);
    forget_backlog(done.accepted);
  }
  if (backlog_.empty() && paused_) resume();
  return open;
}

void Source::Impl::forget_backlog(std::size_t n) {
  backlog_.erase(backlog_.begin(), backlog_.begin() + static_cast<std::ptrdiff_t>(n));
  origins_.erase(origins_.begin(), origins_.begin() + static_cast<std::ptrdiff_t>(n));
}

void Source::Impl::wait_for_room(AppendResult result) {
  const TimePoint now = steady_clock().now();
  full_since_ = std::min(full_since_, now);
  if (!paused_ && now - full_since_ >= patience_when_full) pause();
  if (result != AppendResult::timeout) std::this_thread::sleep_for(10ms);  // it refuses at once
}

void Source::Impl::advance(std::span<const Origin> appended) {
  if (appended.empty()) return;
  const TimePoint now = steady_clock().now();
  std::lock_guard lock(assignments_.mutex);
  for (std::size_t i = 0; i < appended.size(); ++i) {
    if (i + 1 < appended.size() && appended[i + 1].partition == appended[i].partition) continue;
    if (auto* assignment = assignments_.find(appended[i].partition))
      assignment->advance(appended[i].offset + 1, now);
  }
}

void Source::Impl::pause() {
  paused_ = true;
  pauses_.fetch_add(1, std::memory_order_relaxed);
  rd_kafka_topic_partition_list_t* all = nullptr;
  if (rd_kafka_assignment(client_->get(), &all) != RD_KAFKA_RESP_ERR_NO_ERROR) return;
  const detail::PartitionList held(all);
  rd_kafka_pause_partitions(client_->get(), all);
}

void Source::Impl::resume() {
  paused_ = false;
  rd_kafka_topic_partition_list_t* all = nullptr;
  if (rd_kafka_assignment(client_->get(), &all) != RD_KAFKA_RESP_ERR_NO_ERROR) return;
  const detail::PartitionList held(all);
  rd_kafka_resume_partitions(client_->get(), all);
}

void Source::Impl::finish(Feed<Record>& feed) {
  forget_backlog(backlog_.size());  // the next owner reads it
  if (!client_) return;
  see_to_announced();
  pause();
  while (!feed.drain(poll_time)) {
    poll(0);
    forget_backlog(backlog_.size());
    commit_now_and_then();
  }
  commit_synchronously();
}

void Source::Impl::close() {
  if (!client_) return;
  closing_ = true;
  messages_.reset();
  see_to_announced();
  rd_kafka_t* const consumer = client_->get();
  {
    // Leaves the group, so that the others need not wait until we are missed; not without bound.
    // The queue must go before the client, or what it still holds keeps the client from ending.
    const detail::Queue queue(rd_kafka_queue_new(consumer));
    const detail::KafkaError error(rd_kafka_consumer_close_queue(consumer, queue.get()));
    const TimePoint until = steady_clock().now() + 5s;
    while (!error && rd_kafka_consumer_closed(consumer) == 0 && steady_clock().now() < until) {
      const detail::Event event(rd_kafka_queue_poll(queue.get(), 100));
      if (event && rd_kafka_event_type(event.get()) == RD_KAFKA_EVENT_REBALANCE)
        on_rebalance(consumer, rd_kafka_event_error(event.get()),
                     rd_kafka_event_topic_partition_list(event.get()), client_.get());
    }
  }
  closing_ = false;
  last_ = nullptr;
  std::shared_ptr<detail::Client> client;  // it ends without the mutex
  std::lock_guard lock(assignments_.mutex);
  while (!assignments_.all().empty()) assignments_.remove(assignments_.all().back()->id);
  client.swap(client_);
}

}  // namespace microbatch::inline v0_1::kafka
