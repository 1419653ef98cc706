#include <microbatch/kafka/exactly_once.hpp>

#include <fmt/format.h>

#include <algorithm>

#include "client.hpp"
#include "source_impl.hpp"

namespace microbatch::inline v0_1::kafka {
namespace {

using namespace std::chrono_literals;

constexpr auto step_time = 30s;  // for one step of a transaction

}  // namespace

class Transactions::Impl {
 public:
  Impl(SinkOptions output, Source::Impl& source) : options_(std::move(output)), source_(source) {
    source_.leave_commits_to_transactions();
    open();
  }

  [[nodiscard]] bool is_open(const Record& record) const {
    auto& assignments = source_.assignments();
    std::lock_guard lock(assignments.mutex);
    const auto* of = assignments.find(record.assignment);
    return of != nullptr && record.offset >= of->told;
  }

  void commit(std::span<const Record> results, std::span<const Record> processed) {
    if (!client_) open();
    const auto consumer = source_.client();
    if (!consumer) throw Unavailable("kafka::Transactions: the source has ended", 0);
    // Taken before we look whether the partitions are still ours: if they go after that look, the
    // broker refuses this generation's offsets.
    const detail::GroupMetadata group(rd_kafka_consumer_group_metadata(consumer->get()));
    const auto offsets = offsets_of(processed);
    rd_kafka_t* const producer = client_->get();
    check(rd_kafka_begin_transaction(producer), "begin");
    for (const Record& result : results) produce(result);
    step("send the offsets", [&] {
      return rd_kafka_send_offsets_to_transaction(producer, offsets.get(), group.get(),
                                                  detail::milliseconds(step_time));
    });
    step("commit",
         [&] { return rd_kafka_commit_transaction(producer, detail::milliseconds(step_time)); });
    auto& assignments = source_.assignments();
    std::lock_guard lock(assignments.mutex);
    for (const Record& record : processed)
      if (auto* of = assignments.find(record.assignment))
        of->told = std::max(of->told, record.offset + 1);
  }

 private:
  void open() {
    const std::vector<std::string> topics =
        options_.topic.empty() ? std::vector<std::string>{} : std::vector{options_.topic};
    if (options_.properties.get("transactional.id").value_or("").empty())
      throw ConfigError(
          "kafka::Transactions: property \"transactional.id\" is missing; expected a name that no "
          "other running process has");
    auto client = std::make_unique<detail::Client>(
        detail::Client::Setup{.who = "kafka::Transactions",
                              .topics_setting = "ExactlyOnceOptions.output.topic",
                              .type = RD_KAFKA_PRODUCER,
                              .properties = options_.properties,
                              .fixed = {{"enable.idempotence", "true"}},
                              .defaults = {{"topic.metadata.propagation.max.ms", "5000"}},
                              .on_event = options_.on_event});
    (void)client->connect(topics, options_.connect_timeout, {});
    client_ = std::move(client);
    step("initialise", [&] {
      return rd_kafka_init_transactions(client_->get(),
                                        detail::milliseconds(options_.connect_timeout));
    });
  }

  /// The offsets behind these records; Unavailable where a partition has gone meanwhile.
  [[nodiscard]] detail::PartitionList offsets_of(std::span<const Record> processed) const {
    auto list = detail::make_list(1);
    auto& assignments = source_.assignments();
    std::lock_guard lock(assignments.mutex);
    for (const Record& record : processed) {
      const auto* of = assignments.find(record.assignment);
      if (of == nullptr)
        throw Unavailable(fmt::format("kafka::Transactions: {}[{}] has gone to another member",
                                      record.topic, record.partition),
                          RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION);
      auto* entry = rd_kafka_topic_partition_list_find(list.get(), record.topic.name().c_str(),
                                                       record.partition);
      if (entry == nullptr)
        entry = rd_kafka_topic_partition_list_add(list.get(), record.topic.name().c_str(),
                                                  record.partition);
      entry->offset = record.offset + 1;
    }
    return list;
  }

  void produce(const Record& result) {
    for (;;) {
      const auto code = detail::produce(client_->get(), result, options_.topic, nullptr);
      if (code == RD_KAFKA_RESP_ERR_NO_ERROR) return;
      if (code == RD_KAFKA_RESP_ERR__QUEUE_FULL) {
        rd_kafka_poll(client_->get(), 10);
        continue;
      }
      abort();
      fail(code, "a result");
    }
  }

  /// One step of a transaction, again for as long as that may help.
  template <class F>
  void step(const char* what, F&& f) {
    const TimePoint until = steady_clock().now() + 2 * step_time;
    for (;;) {
      detail::KafkaError error(f());
      if (!error) return;
      if (rd_kafka_error_is_retriable(error.get()) != 0 && steady_clock().now() < until) continue;
      check(error.release(), what);
    }
  }

  void check(rd_kafka_error_t* raw, const char* what) {
    const detail::KafkaError error(raw);
    if (!error) return;
    const auto code = rd_kafka_error_code(error.get());
    const std::string text = fmt::format("{}: {}", what, rd_kafka_error_string(error.get()));
    if (rd_kafka_error_txn_requires_abort(error.get()) != 0)
      abort();
    else
      client_.reset();  // fatal, or in a state we do not know: the next one begins anew
    if (client_) fail(code, text);
    throw Unavailable("kafka::Transactions: " + options_.properties.without_secrets(text), code);
  }

  void abort() noexcept {
    const TimePoint until = steady_clock().now() + step_time;
    for (;;) {
      const detail::KafkaError error(
          rd_kafka_abort_transaction(client_->get(), detail::milliseconds(step_time)));
      if (!error) return;
      if (rd_kafka_error_is_retriable(error.get()) != 0 && steady_clock().now() < until) continue;
      client_.reset();
      return;
    }
  }

  [[noreturn]] void fail(rd_kafka_resp_err_t code, const std::string& what) const {
    const std::string text =
        fmt::format("kafka::Transactions: {}: {}", what, rd_kafka_err2str(code));
    if (detail::lies_in_record(code, true))
      throw Error(options_.properties.without_secrets(text), code);
    throw Unavailable(options_.properties.without_secrets(text), code);
  }

  const SinkOptions options_;
  Source::Impl& source_;
  std::unique_ptr<detail::Client> client_;
};

Transactions::Transactions(SinkOptions output, Source& source)
    : impl_(std::make_unique<Impl>(std::move(output), *source.impl_)) {}
Transactions::~Transactions() = default;

bool Transactions::is_open(const Record& record) const { return impl_->is_open(record); }
void Transactions::commit(std::span<const Record> results, std::span<const Record> processed) {
  impl_->commit(results, processed);
}

}  // namespace microbatch::inline v0_1::kafka
