#include "kafka_bare.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <initializer_list>
#include <memory>
#include <stdexcept>
#include <utility>

namespace bench::kafka {
namespace {

using Clock = std::chrono::steady_clock;
using Settings = std::initializer_list<std::pair<const char*, std::string>>;

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

[[noreturn]] void fail(const std::string& what) { throw std::runtime_error(what); }

void check(rd_kafka_error_t* error) {
  if (error == nullptr) return;
  const std::string text = rd_kafka_error_string(error);
  rd_kafka_error_destroy(error);
  fail(text);
}

struct Destroy {
  void operator()(rd_kafka_t* client) const { rd_kafka_destroy(client); }
  void operator()(rd_kafka_topic_partition_list_t* list) const {
    rd_kafka_topic_partition_list_destroy(list);
  }
};
using Client = std::unique_ptr<rd_kafka_t, Destroy>;
using List = std::unique_ptr<rd_kafka_topic_partition_list_t, Destroy>;

Client client(rd_kafka_type_t type, const std::string& broker, Settings settings, void* opaque,
              void (*more)(rd_kafka_conf_t*)) {
  rd_kafka_conf_t* conf = rd_kafka_conf_new();
  char text[512];
  const auto set = [&](const char* name, const std::string& value) {
    if (rd_kafka_conf_set(conf, name, value.c_str(), text, sizeof text) != RD_KAFKA_CONF_OK)
      fail(text);
  };
  set("bootstrap.servers", broker);
  for (const auto& [name, value] : settings) set(name, value);
  rd_kafka_conf_set_opaque(conf, opaque);
  if (more != nullptr) more(conf);
  rd_kafka_t* made = rd_kafka_new(type, conf, text, sizeof text);
  if (made == nullptr) fail(text);
  return Client(made);
}

/// When the consumer got its partitions.
struct Assigned {
  Clock::time_point at{};

  static void on_rebalance(rd_kafka_t* consumer, rd_kafka_resp_err_t code,
                           rd_kafka_topic_partition_list_t* partitions, void* opaque) {
    const bool assigned = code == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
    rd_kafka_assign(consumer, assigned ? partitions : nullptr);
    if (assigned) static_cast<Assigned*>(opaque)->at = Clock::now();
  }
};

Client consumer(const Work& work, Assigned& assigned) {
  Client made = client(RD_KAFKA_CONSUMER, work.broker,
                       {{"group.id", unique("bare")},
                        {"auto.offset.reset", "earliest"},
                        {"enable.auto.commit", "false"},
                        {"enable.auto.offset.store", "false"},
                        {"enable.partition.eof", "true"},
                        {"queued.min.messages", "1000000"}},  // as kafka::Source has it
                       &assigned, [](rd_kafka_conf_t* conf) {
                         rd_kafka_conf_set_rebalance_cb(conf, Assigned::on_rebalance);
                       });
  rd_kafka_poll_set_consumer(made.get());
  const List topics(rd_kafka_topic_partition_list_new(1));
  rd_kafka_topic_partition_list_add(topics.get(), work.topic.c_str(), RD_KAFKA_PARTITION_UA);
  rd_kafka_subscribe(made.get(), topics.get());
  return made;
}

void produce(rd_kafka_t* producer, const std::string& topic, std::int32_t partition,
             const void* value, std::size_t size) {
  for (;;) {
    const auto code =
        rd_kafka_producev(producer, RD_KAFKA_V_TOPIC(topic.c_str()),
                          RD_KAFKA_V_PARTITION(partition), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                          RD_KAFKA_V_VALUE(const_cast<void*>(value), size), RD_KAFKA_V_END);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR) return;
    if (code != RD_KAFKA_RESP_ERR__QUEUE_FULL) fail(rd_kafka_err2str(code));
    rd_kafka_poll(producer, 10);
  }
}

/// Counts the delivery reports.
struct Reports {
  std::size_t delivered = 0;
  static void on_report(rd_kafka_t*, const rd_kafka_message_t* message, void* opaque) {
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) ++static_cast<Reports*>(opaque)->delivered;
  }
};

}  // namespace

std::string unique(const std::string& what) {
  static std::atomic<int> count{0};
  return fmt::format("{}-{}-{}-{}", what, ::getpid(), Clock::now().time_since_epoch().count(),
                     count++);
}

std::string make_topic(const std::string& broker, int partitions) {
  const std::string name = unique("bench");
  const Client admin = client(RD_KAFKA_PRODUCER, broker, {}, nullptr, nullptr);
  char text[256];
  rd_kafka_NewTopic_t* topic =
      rd_kafka_NewTopic_new(name.c_str(), partitions, 1, text, sizeof text);
  rd_kafka_queue_t* queue = rd_kafka_queue_new(admin.get());
  rd_kafka_CreateTopics(admin.get(), &topic, 1, nullptr, queue);
  rd_kafka_event_t* event = rd_kafka_queue_poll(queue, 30'000);
  if (event == nullptr || rd_kafka_event_error(event) != RD_KAFKA_RESP_ERR_NO_ERROR)
    fail("no topic could be made on " + broker);
  rd_kafka_event_destroy(event);
  rd_kafka_queue_destroy(queue);
  rd_kafka_NewTopic_destroy(topic);
  return name;
}

void fill(const Work& work, int partitions) {
  const Client producer =
      client(RD_KAFKA_PRODUCER, work.broker, {{"linger.ms", "50"}}, nullptr, nullptr);
  const std::string value(work.size, 'x');
  for (std::size_t i = 0; i < work.records; ++i) {
    produce(producer.get(), work.topic, static_cast<std::int32_t>(i) % partitions, value.data(),
            value.size());
    if (i % 1000 == 0) rd_kafka_poll(producer.get(), 0);
  }
  if (rd_kafka_flush(producer.get(), 60'000) != RD_KAFKA_RESP_ERR_NO_ERROR) fail("flush");
}

double bare_poll_loop(const Work& work) {
  Assigned assigned;
  const Client from = consumer(work, assigned);
  std::size_t n = 0;
  while (n < work.records) {
    rd_kafka_message_t* message = rd_kafka_consumer_poll(from.get(), 100);
    if (message == nullptr) continue;
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) ++n;
    rd_kafka_message_destroy(message);
  }
  const double seconds = seconds_since(assigned.at);
  rd_kafka_consumer_close(from.get());
  return seconds;
}

double bare_producer(const Work& work, const char* linger_ms) {
  Reports reports;
  const Client to =
      client(RD_KAFKA_PRODUCER, work.broker,
             {{"enable.idempotence", "true"}, {"linger.ms", linger_ms}}, &reports,
             [](rd_kafka_conf_t* conf) { rd_kafka_conf_set_dr_msg_cb(conf, Reports::on_report); });
  const std::string value(work.size, 'x');
  produce(to.get(), work.topic, RD_KAFKA_PARTITION_UA, value.data(), value.size());  // it connects
  rd_kafka_flush(to.get(), 60'000);
  const auto begin = Clock::now();
  for (std::size_t i = 0; i < work.records; ++i) {
    produce(to.get(), work.topic, RD_KAFKA_PARTITION_UA, value.data(), value.size());
    if (i % 1000 == 0) rd_kafka_poll(to.get(), 0);
  }
  rd_kafka_flush(to.get(), 60'000);
  const double seconds = seconds_since(begin);
  if (reports.delivered != work.records + 1) fail("not everything was delivered");
  return seconds;
}

double bare_transactions(const Work& work) {
  Assigned assigned;
  const Client from = consumer(work, assigned);
  const Client to = client(RD_KAFKA_PRODUCER, work.broker, {{"transactional.id", unique("bare")}},
                           nullptr, nullptr);
  check(rd_kafka_init_transactions(to.get(), 30'000));
  std::size_t n = 0;
  while (n < work.records) {
    check(rd_kafka_begin_transaction(to.get()));
    const List offsets(rd_kafka_topic_partition_list_new(1));
    for (std::size_t in = 0; in < work.group && n < work.records;) {
      rd_kafka_message_t* message = rd_kafka_consumer_poll(from.get(), 100);
      if (message == nullptr) continue;
      if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        produce(to.get(), work.to, RD_KAFKA_PARTITION_UA, message->payload, message->len);
        auto* at = rd_kafka_topic_partition_list_find(offsets.get(), work.topic.c_str(),
                                                      message->partition);
        if (at == nullptr)
          at = rd_kafka_topic_partition_list_add(offsets.get(), work.topic.c_str(),
                                                 message->partition);
        at->offset = message->offset + 1;
        ++in;
        ++n;
      }
      rd_kafka_message_destroy(message);
    }
    rd_kafka_consumer_group_metadata_t* group = rd_kafka_consumer_group_metadata(from.get());
    check(rd_kafka_send_offsets_to_transaction(to.get(), offsets.get(), group, 30'000));
    rd_kafka_consumer_group_metadata_destroy(group);
    check(rd_kafka_commit_transaction(to.get(), 30'000));
  }
  const double seconds = seconds_since(assigned.at);
  rd_kafka_consumer_close(from.get());
  return seconds;
}

}  // namespace bench::kafka
