#pragma once

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <microbatch/kafka/record.hpp>
#include <microbatch/kafka/source.hpp>
#include <microbatch/microbatch.hpp>

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "support/catch.hpp"

/// What Kafka's tests do beside the component that they test: with librdkafka alone.
namespace test::kafka {

using microbatch::kafka::Properties;
using microbatch::kafka::Record;
using namespace std::chrono_literals;

/// Waits for something that another thread or a server does; false after a generous while.
inline bool eventually(const std::function<bool()>& done, std::chrono::milliseconds within = 30s) {
  const auto until = std::chrono::steady_clock::now() + within;
  while (!done()) {
    if (std::chrono::steady_clock::now() > until) return false;
    std::this_thread::sleep_for(5ms);
  }
  return true;
}

/// A name that no other test, and no other run, uses.
inline std::string unique(const std::string& what) {
  static std::atomic<int> count{0};
  return fmt::format("{}-{}-{}-{}", what, ::getpid(),
                     std::chrono::steady_clock::now().time_since_epoch().count() % 1'000'000'000,
                     count++);
}

class Client {
 public:
  Client(rd_kafka_type_t type, const Properties& properties) {
    rd_kafka_conf_t* conf = rd_kafka_conf_new();
    char text[256];
    for (const auto& [name, value] : properties.all())
      if (rd_kafka_conf_set(conf, name.c_str(), value.c_str(), text, sizeof text) !=
          RD_KAFKA_CONF_OK)
        throw std::runtime_error(text);
    rd_kafka_conf_set_log_cb(conf, nullptr);
    handle_ = rd_kafka_new(type, conf, text, sizeof text);
    if (handle_ == nullptr) throw std::runtime_error(text);
  }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;
  ~Client() { rd_kafka_destroy(handle_); }
  [[nodiscard]] rd_kafka_t* get() const noexcept { return handle_; }

 private:
  rd_kafka_t* handle_ = nullptr;
};

struct DestroyList {
  void operator()(rd_kafka_topic_partition_list_t* list) const noexcept {
    rd_kafka_topic_partition_list_destroy(list);
  }
};
using List = std::unique_ptr<rd_kafka_topic_partition_list_t, DestroyList>;

/// A broker, real or not.
class Broker {
 public:
  explicit Broker(std::string bootstrap) : bootstrap_(std::move(bootstrap)) {}
  virtual ~Broker() = default;

  [[nodiscard]] const std::string& bootstrap() const noexcept { return bootstrap_; }
  [[nodiscard]] Properties properties(const Properties& more = {}) const {
    Properties all{{"bootstrap.servers", bootstrap_}};
    for (const auto& [name, value] : more.all()) all.set(name, value);
    return all;
  }
  /// For a member of a group that is missed soon.
  [[nodiscard]] Properties member(const std::string& group, const Properties& more = {}) const {
    Properties all = properties({{"group.id", group},
                                 {"session.timeout.ms", "3000"},
                                 {"heartbeat.interval.ms", "200"},
                                 {"fetch.wait.max.ms", "50"}});
    for (const auto& [name, value] : more.all()) all.set(name, value);
    return all;
  }

  virtual std::string make_topic(int partitions) {
    const std::string name = unique("topic");
    const Client client(RD_KAFKA_PRODUCER, properties());
    char text[256];
    auto* topic = rd_kafka_NewTopic_new(name.c_str(), partitions, 1, text, sizeof text);
    auto* queue = rd_kafka_queue_new(client.get());
    rd_kafka_CreateTopics(client.get(), &topic, 1, nullptr, queue);
    auto* event = rd_kafka_queue_poll(queue, 30'000);
    REQUIRE(event != nullptr);
    CHECK(std::string(rd_kafka_err2name(rd_kafka_event_error(event))) == "NO_ERROR");
    rd_kafka_event_destroy(event);
    rd_kafka_queue_destroy(queue);
    rd_kafka_NewTopic_destroy(topic);
    return name;
  }

  /// The numbers from..from+n-1 as values, spread over the partitions in turn.
  void produce(const std::string& topic, int from, int n, int partitions = 1,
               std::int64_t timestamp = 0) const {
    const Client client(RD_KAFKA_PRODUCER, properties({{"linger.ms", "1"}}));
    for (int i = from; i < from + n; ++i) {
      const std::string value = std::to_string(i);
      rd_kafka_vu_t fields[5]{};
      fields[0].vtype = RD_KAFKA_VTYPE_TOPIC;
      fields[0].u.cstr = topic.c_str();
      fields[1].vtype = RD_KAFKA_VTYPE_PARTITION;
      fields[1].u.i32 = i % partitions;
      fields[2].vtype = RD_KAFKA_VTYPE_MSGFLAGS;
      fields[2].u.i = RD_KAFKA_MSG_F_COPY;
      fields[3].vtype = RD_KAFKA_VTYPE_VALUE;
      fields[3].u.mem = {const_cast<char*>(value.data()), value.size()};
      fields[4].vtype = RD_KAFKA_VTYPE_TIMESTAMP;
      fields[4].u.i64 = timestamp;
      REQUIRE(rd_kafka_produceva(client.get(), fields, 5) == nullptr);
      if (i % 1000 == 0) rd_kafka_poll(client.get(), 0);
    }
    REQUIRE(rd_kafka_flush(client.get(), 30'000) == RD_KAFKA_RESP_ERR_NO_ERROR);
  }

  /// Everything that is in the topic and committed, partition by partition.
  [[nodiscard]] std::vector<Record> read(const std::string& topic, int partitions = 1) const;

  /// What the group has committed, by partition; -1: nothing.
  [[nodiscard]] std::vector<std::int64_t> committed(const std::string& group,
                                                    const std::string& topic,
                                                    int partitions = 1) const {
    const Client client(RD_KAFKA_CONSUMER, properties({{"group.id", group}}));
    const List list(rd_kafka_topic_partition_list_new(partitions));
    rd_kafka_topic_partition_list_add_range(list.get(), topic.c_str(), 0, partitions - 1);
    REQUIRE(rd_kafka_committed(client.get(), list.get(), 30'000) == RD_KAFKA_RESP_ERR_NO_ERROR);
    std::vector<std::int64_t> offsets;
    for (int i = 0; i < partitions; ++i)
      offsets.push_back(std::max<std::int64_t>(-1, list->elems[i].offset));
    return offsets;
  }

 private:
  std::string bootstrap_;
};

inline std::vector<Record> Broker::read(const std::string& topic, int partitions) const {
  std::vector<Record> records;
  for (int p = 0; p < partitions; ++p) {
    const Client client(RD_KAFKA_CONSUMER, properties({{"group.id", "reader"},
                                                       {"enable.auto.commit", "false"},
                                                       {"enable.partition.eof", "true"},
                                                       {"fetch.wait.max.ms", "20"}}));
    const List list(rd_kafka_topic_partition_list_new(1));
    rd_kafka_topic_partition_list_add(list.get(), topic.c_str(), p)->offset =
        RD_KAFKA_OFFSET_BEGINNING;
    rd_kafka_assign(client.get(), list.get());
    for (bool end = false; !end;) {
      rd_kafka_message_t* message = rd_kafka_consumer_poll(client.get(), 30'000);
      REQUIRE(message != nullptr);
      end = message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF;
      if (!end) {
        REQUIRE(message->err == RD_KAFKA_RESP_ERR_NO_ERROR);
        Record record{.topic = topic, .partition = p, .offset = message->offset};
        if (message->key != nullptr)
          record.key.emplace(static_cast<const char*>(message->key), message->key_len);
        if (message->payload != nullptr)
          record.value.emplace(static_cast<const char*>(message->payload), message->len);
        rd_kafka_headers_t* headers = nullptr;
        if (rd_kafka_message_headers(message, &headers) == RD_KAFKA_RESP_ERR_NO_ERROR) {
          const char* name = nullptr;
          const void* value = nullptr;
          std::size_t size = 0;
          for (std::size_t i = 0; rd_kafka_header_get_all(headers, i, &name, &value, &size) == 0;
               ++i) {
            record.headers.push_back({name, std::nullopt});
            if (value != nullptr)
              record.headers.back().value.emplace(static_cast<const char*>(value), size);
          }
        }
        record.timestamp = microbatch::kafka::Timestamp(
            std::chrono::milliseconds(rd_kafka_message_timestamp(message, nullptr)));
        records.push_back(std::move(record));
      }
      rd_kafka_message_destroy(message);
    }
    rd_kafka_consumer_close(client.get());
  }
  return records;
}

/// librdkafka's own mock cluster of one broker: groups, commits, injected errors; no transactions.
class MockBroker : public Broker {
 public:
  MockBroker() : MockBroker(std::make_unique<Cluster>()) {}

  std::string make_topic(int partitions) override {
    const std::string name = unique("topic");
    rd_kafka_mock_topic_create(get(), name.c_str(), partitions, 1);
    return name;
  }
  [[nodiscard]] rd_kafka_mock_cluster_t* get() const noexcept { return cluster_->cluster; }

 private:
  struct Cluster {
    Client client{RD_KAFKA_PRODUCER, Properties{}};
    rd_kafka_mock_cluster_t* cluster = rd_kafka_mock_cluster_new(client.get(), 1);

    Cluster() = default;
    Cluster(const Cluster&) = delete;
    Cluster& operator=(const Cluster&) = delete;
    ~Cluster() { rd_kafka_mock_cluster_destroy(cluster); }
  };

  explicit MockBroker(std::unique_ptr<Cluster> cluster)
      : Broker(rd_kafka_mock_cluster_bootstraps(cluster->cluster)), cluster_(std::move(cluster)) {}

  std::unique_ptr<Cluster> cluster_;
};

/// Numbers that a callback has seen, and what it does first.
struct Seen {
  void operator()(microbatch::Window<Record>& window) {
    if (before) before(window);
    std::lock_guard lock(mutex);
    ++windows;
    for (const Record& record : window) ++counts[std::stoi(record.value.value())];
  }
  [[nodiscard]] std::size_t distinct() {
    std::lock_guard lock(mutex);
    return counts.size();
  }
  /// Every number of from..from+n-1 exactly once, and no other.
  [[nodiscard]] bool once(int from, int n) {
    std::lock_guard lock(mutex);
    if (counts.size() != static_cast<std::size_t>(n)) return false;
    return std::all_of(counts.begin(), counts.end(), [&](const auto& count) {
      return count.first >= from && count.first < from + n && count.second == 1;
    });
  }

  std::function<void(microbatch::Window<Record>&)> before{};
  std::mutex mutex{};
  std::map<int, int> counts{};
  int windows = 0;
};

/// A pipeline in a thread of its own, from a source to `Seen`.
class Member {
 public:
  using Options = microbatch::RunOptions<Record, void>;

  Member(microbatch::kafka::SourceOptions source, std::size_t count, Seen& seen,
         Options options = {})
      : source_(with_events(std::move(source))) {
    options.stop = stop_.get_token();
    result_ = std::async(
        std::launch::async, [this, count, &seen, options = std::move(options)]() mutable {
          return microbatch::run(
              source_,
              microbatch::any_of(microbatch::CountWindow{count}, microbatch::MaxAgeWindow{50ms}),
              std::ref(seen), microbatch::NoSink{}, std::move(options));
        });
  }
  ~Member() {
    stop_.request_stop();
    if (result_.valid()) result_.wait();
  }

  microbatch::RunResult<Record> stop() {
    stop_.request_stop();
    return result_.get();
  }
  microbatch::RunResult<Record> wait() { return result_.get(); }
  [[nodiscard]] microbatch::kafka::SourceStats stats() const { return source_.stats(); }
  [[nodiscard]] std::size_t partitions() const { return stats().partitions.size(); }
  [[nodiscard]] std::string events() {
    std::lock_guard lock(mutex_);
    return events_;
  }
  [[nodiscard]] bool told(const std::string& what) {
    return events().find(what) != std::string::npos;
  }

 private:
  microbatch::kafka::SourceOptions with_events(microbatch::kafka::SourceOptions options) {
    options.on_event = [this](const std::string& event) {
      std::lock_guard lock(mutex_);
      events_ += event + "\n";
    };
    return options;
  }

  std::mutex mutex_;
  std::string events_;
  std::stop_source stop_;
  microbatch::kafka::Source source_;
  std::future<microbatch::RunResult<Record>> result_;
};

}  // namespace test::kafka
