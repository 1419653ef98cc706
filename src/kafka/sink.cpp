#include <microbatch/kafka/sink.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <span>
#include <stop_token>
#include <thread>
#include <utility>
#include <vector>

#include "client.hpp"

namespace microbatch::inline v0_1::kafka {
namespace {

constexpr int full_queue_ms = 10;  // between tries while librdkafka's queue is full
constexpr int poll_ms = 1000;
constexpr std::size_t at_a_time = 256;  // records in one call

/// The delivery reports of one put.
struct Reports {
  struct Slot {
    Reports* reports = nullptr;
    rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR_NO_ERROR;
  };

  explicit Reports(std::size_t n) : slots(n, Slot{.reports = this}), missing(n), complete(n == 0) {}

  std::vector<Slot> slots;
  std::atomic<std::size_t> missing;  // counted down by whoever hears: acq_rel, the codes are there
  // Under the producer's mutex.
  bool complete;
  std::condition_variable all_there;
};

/// Waits for room in librdkafka's queue for a record that it has answered "full" to.
class FullQueue {
 public:
  explicit FullQueue(rd_kafka_t* producer) noexcept : producer_(producer) {}

  /// False: the queue was empty the last time already, so this record will never find room in it.
  [[nodiscard]] bool wait() {
    const bool empty = rd_kafka_outq_len(producer_) == 0;
    if (std::exchange(was_empty_, empty) && empty) return was_empty_ = false;
    (void)rd_kafka_flush(producer_, full_queue_ms);
    return true;
  }

 private:
  rd_kafka_t* producer_;
  bool was_empty_ = false;
};

/// A client, and a thread that polls it.
///
/// Threads: any; send() and wait() by those who put.
class Producer {
 public:
  Producer(const detail::Client::Setup& setup, const std::string& topic)
      : client_(with_reports(setup)), topic_(topic) {
    if (topic.empty()) return;
    handle_.reset(rd_kafka_topic_new(client_.get(), topic.c_str(), nullptr));
    if (!handle_) client_.fail(rd_kafka_last_error(), fmt::format("topic \"{}\"", topic));
  }
  Producer(const Producer&) = delete;
  Producer& operator=(const Producer&) = delete;
  ~Producer() {
    poller_.request_stop();
    const detail::Queue queue(rd_kafka_queue_get_main(client_.get()));
    rd_kafka_queue_yield(queue.get());
  }

  [[nodiscard]] detail::Client& client() noexcept { return client_; }
  [[nodiscard]] bool broken() const noexcept {
    return rd_kafka_fatal_error(client_.get(), nullptr, 0) != RD_KAFKA_RESP_ERR_NO_ERROR;
  }

  /// Hands them to librdkafka, which reads them until all reports are in.
  void send(std::span<const Record> records, Reports& reports) {
    std::lock_guard lock(sending_);
    for (std::size_t i = 0; i < records.size();)
      i += plain(records[i]) ? send_run(records.subspan(i), &reports.slots[i])
                             : send_one(records[i], reports.slots[i]);
  }
  /// Every record is reported within message.timeout.ms.
  void wait(Reports& reports) {
    std::unique_lock lock(mutex_);
    reports.all_there.wait(lock, [&] { return reports.complete; });
  }

 private:
  /// What rd_kafka_produce_batch can say of a record.
  [[nodiscard]] bool plain(const Record& record) const noexcept {
    return handle_ && (record.topic.empty() || record.topic == topic_) &&
           record.partition == Record::any_partition && record.headers.empty() &&
           record.timestamp_kind == TimestampKind::none;
  }

  /// Plain ones from the front; how many.
  std::size_t send_run(std::span<const Record> records, Reports::Slot* slots) {
    std::array<rd_kafka_message_t, at_a_time> messages;  // the first n of them
    std::size_t n = 0;
    for (; n < std::min(records.size(), messages.size()) && plain(records[n]); ++n)
      messages[n] = detail::to_message(records[n], &slots[n]);
    FullQueue full(client_.get());
    for (std::size_t sent = 0; sent < n;) {
      rd_kafka_produce_batch(handle_.get(), RD_KAFKA_PARTITION_UA, 0, &messages[sent],
                             static_cast<int>(n - sent));
      for (; sent < n; ++sent) {
        const auto code = messages[sent].err;
        if (code == RD_KAFKA_RESP_ERR__QUEUE_FULL) break;  // and so are those behind it
        if (code != RD_KAFKA_RESP_ERR_NO_ERROR) refuse(slots[sent], code);
      }
      if (sent < n && !full.wait()) refuse(slots[sent++], RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE);
    }
    return n;
  }
  std::size_t send_one(const Record& record, Reports::Slot& slot) {
    FullQueue full(client_.get());
    const auto attempt = [&] { return detail::produce(client_.get(), record, topic_, &slot); };
    auto code = attempt();
    for (; code == RD_KAFKA_RESP_ERR__QUEUE_FULL; code = attempt())
      if (!full.wait()) {
        code = RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE;
        break;
      }
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) refuse(slot, code);
    return 1;
  }
  void refuse(Reports::Slot& slot, rd_kafka_resp_err_t code) {
    slot.code = code;
    count(*slot.reports);
  }
  void count(Reports& reports) {
    if (reports.missing.fetch_sub(1, std::memory_order_acq_rel) > 1) return;
    std::lock_guard lock(mutex_);
    reports.complete = true;
    reports.all_there.notify_one();  // under the mutex: then they may be gone
  }

  static void on_report(rd_kafka_t*, const rd_kafka_message_t* message, void* opaque) {
    auto& self = *static_cast<Producer*>(static_cast<detail::Client*>(opaque)->opaque());
    auto& slot = *static_cast<Reports::Slot*>(message->_private);
    slot.code = message->err;
    self.count(*slot.reports);
  }
  detail::Client::Setup with_reports(detail::Client::Setup setup) {
    setup.opaque = this;
    setup.callbacks = [](rd_kafka_conf_t* conf) { rd_kafka_conf_set_dr_msg_cb(conf, on_report); };
    return setup;
  }
  /// Also while nobody puts: what librdkafka has to tell comes by polls.
  void poll(const std::stop_token& stop) {
    while (!stop.stop_requested()) rd_kafka_poll(client_.get(), poll_ms);
  }

  detail::Client client_;
  const Topic topic_;
  detail::TopicHandle handle_;
  std::mutex sending_;  // one put after the other: they would only contend for librdkafka's locks
  std::mutex mutex_;
  std::jthread poller_{[this](const std::stop_token& stop) { poll(stop); }};
};

}  // namespace

class Sink::Impl {
 public:
  explicit Impl(SinkOptions options) : options_(std::move(options)), producer_(make_producer()) {
    if (options_.topic.empty()) return;
    (void)producer_->client().connect({options_.topic}, options_.connect_timeout, {});
  }

  PutErrors put(std::span<const Record> records) {
    const auto producer = usable_producer();
    if (producer->client().is_telling())
      throw UsageError("kafka::Sink::put: called from inside on_event, which it would wait for");
    Reports reports(records.size());
    producer->send(records, reports);
    producer->wait(reports);
    PutErrors errors;
    for (std::size_t i = 0; i < records.size(); ++i)
      if (reports.slots[i].code != RD_KAFKA_RESP_ERR_NO_ERROR)
        errors.push_back({i, why(producer->client(), records[i], reports.slots[i].code)});
    return errors;
  }

 private:
  [[nodiscard]] detail::Client::Setup setup() const {
    if (options_.properties.get("transactional.id"))
      throw ConfigError(
          "kafka::Sink: property \"transactional.id\" is for kafka::Transactions; a sink's puts "
          "are "
          "no transactions");
    return {.who = "kafka::Sink",
            .topics_setting = "SinkOptions.topic",
            .type = RD_KAFKA_PRODUCER,
            .properties = options_.properties,
            .fixed = {},
            // A put has come together already: nothing is gained by waiting for more.
            .defaults = {{"enable.idempotence", "true"},
                         {"linger.ms", "0"},
                         {"message.timeout.ms", "30000"},
                         {"topic.metadata.propagation.max.ms", "5000"}},
            .on_event = options_.on_event};
  }
  [[nodiscard]] std::shared_ptr<Producer> make_producer() const {
    return std::make_shared<Producer>(setup(), options_.topic);
  }

  [[nodiscard]] std::exception_ptr why(const detail::Client& client, const Record& record,
                                       rd_kafka_resp_err_t code) const {
    const bool own_topic = !record.topic.empty();
    const auto text =
        client.describe(code, fmt::format("a record for topic \"{}\"{}",
                                          own_topic ? record.topic.name() : options_.topic,
                                          own_topic ? "" : " (SinkOptions.topic)"));
    if (detail::lies_in_record(code, own_topic)) return std::make_exception_ptr(Error(text, code));
    return std::make_exception_ptr(Unavailable(text, code));
  }

  /// An idempotent producer that has lost count of its records is of no use any more; another one
  /// begins anew.
  [[nodiscard]] std::shared_ptr<Producer> usable_producer() {
    std::lock_guard lock(mutex_);
    if (producer_->broken()) producer_ = make_producer();
    return producer_;
  }

  const SinkOptions options_;
  std::mutex mutex_;
  std::shared_ptr<Producer> producer_;
};

Sink::Sink(SinkOptions options) : impl_(std::make_unique<Impl>(std::move(options))) {}
Sink::Sink(Sink&&) noexcept = default;
Sink& Sink::operator=(Sink&&) noexcept = default;
Sink::~Sink() = default;

PutErrors Sink::put(std::span<const Record> records) { return impl_->put(records); }

DeadLetters::DeadLetters(SinkOptions options) {
  if (options.topic.empty())
    throw ConfigError("kafka::DeadLetters: SinkOptions.topic is empty; expected a topic's name");
  sink_ = std::make_shared<Sink>(std::move(options));
}

void DeadLetters::operator()(DeadLetter<Record>& letter) {
  const Record record = dead_letter_record(letter.item, letter.error, letter.attempts);
  const PutErrors errors = sink_->put({&record, 1});
  if (!errors.empty()) std::rethrow_exception(errors.front().error);
}

}  // namespace microbatch::inline v0_1::kafka
