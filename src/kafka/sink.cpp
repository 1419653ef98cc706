#include <microbatch/kafka/sink.hpp>

#include <fmt/format.h>

#include <atomic>
#include <mutex>
#include <vector>

#include "client.hpp"

namespace microbatch::inline v0_1::kafka {
namespace {

/// The delivery reports of one put.
struct Reports {
  struct Slot {
    Reports* reports = nullptr;
    rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR_NO_ERROR;
  };

  std::vector<Slot> slots;
  std::atomic<std::size_t> missing{0};  // counted down by whoever polls

  static void on_report(rd_kafka_t*, const rd_kafka_message_t* message, void*) {
    auto& slot = *static_cast<Slot*>(message->_private);
    slot.code = message->err;
    // Release: the waiter reads the codes after it has seen zero.
    slot.reports->missing.fetch_sub(1, std::memory_order_acq_rel);
  }
};

}  // namespace

class Sink::Impl {
 public:
  explicit Impl(SinkOptions options)
      : options_(std::move(options)), client_(std::make_shared<detail::Client>(setup())) {
    if (options_.topic.empty()) return;
    (void)client_->connect({options_.topic}, options_.connect_timeout, {});
  }

  PutErrors put(std::span<const Record> records) {
    const auto client = usable_client();
    rd_kafka_t* const producer = client->get();
    Reports reports;
    reports.slots.resize(records.size());
    reports.missing.store(records.size(), std::memory_order_relaxed);  // before any of them is sent
    for (std::size_t i = 0; i < records.size(); ++i) {
      auto& slot = reports.slots[i];
      slot.reports = &reports;
      for (;;) {
        const auto code = detail::produce(producer, records[i], options_.topic, &slot);
        if (code == RD_KAFKA_RESP_ERR__QUEUE_FULL) {
          rd_kafka_poll(producer, 10);
          continue;
        }
        if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
          slot.code = code;
          reports.missing.fetch_sub(1, std::memory_order_acq_rel);
        }
        break;
      }
    }
    // Every record is reported within message.timeout.ms.
    while (reports.missing.load(std::memory_order_acquire) > 0) rd_kafka_poll(producer, 10);
    PutErrors errors;
    for (std::size_t i = 0; i < records.size(); ++i)
      if (reports.slots[i].code != RD_KAFKA_RESP_ERR_NO_ERROR)
        errors.push_back({i, why(*client, records[i], reports.slots[i].code)});
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
            .defaults = {{"enable.idempotence", "true"},
                         {"message.timeout.ms", "30000"},
                         {"topic.metadata.propagation.max.ms", "5000"}},
            .on_event = options_.on_event,
            .callbacks = [](rd_kafka_conf_t* conf) {
              rd_kafka_conf_set_dr_msg_cb(conf, Reports::on_report);
            }};
  }

  [[nodiscard]] std::exception_ptr why(const detail::Client& client, const Record& record,
                                       rd_kafka_resp_err_t code) const {
    const bool own_topic = !record.topic.empty();
    const auto text = client.describe(
        code, fmt::format("a record for topic \"{}\"{}", own_topic ? record.topic : options_.topic,
                          own_topic ? "" : " (SinkOptions.topic)"));
    if (detail::lies_in_record(code, own_topic)) return std::make_exception_ptr(Error(text, code));
    return std::make_exception_ptr(Unavailable(text, code));
  }

  /// An idempotent producer that has lost count of its records is of no use any more; another one
  /// begins anew.
  [[nodiscard]] std::shared_ptr<detail::Client> usable_client() {
    std::lock_guard lock(mutex_);
    if (rd_kafka_fatal_error(client_->get(), nullptr, 0) != RD_KAFKA_RESP_ERR_NO_ERROR)
      client_ = std::make_shared<detail::Client>(setup());
    return client_;
  }

  const SinkOptions options_;
  std::mutex mutex_;
  std::shared_ptr<detail::Client> client_;
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
