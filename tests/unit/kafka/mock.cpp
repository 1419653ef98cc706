// Source and sink against librdkafka's mock broker, which answers with the errors that it is told.

#include <microbatch/kafka/sink.hpp>

#include <atomic>
#include <mutex>

#include "support/kafka.hpp"

using namespace test::kafka;
using namespace microbatch;

namespace {

constexpr std::int16_t produce_request = 0;
constexpr std::int16_t fetch_request = 1;
constexpr std::int16_t commit_request = 8;

}  // namespace

TEST_CASE("kafka mock: every record reaches a window, and is committed", "[kafka]") {
  MockBroker broker;
  const std::string topic = broker.make_topic(2);
  broker.produce(topic, 0, 500, 2);
  Seen seen;
  Member member({.properties = broker.member("g"), .topics = {topic}}, 100, seen);
  REQUIRE(eventually([&] { return seen.distinct() == 500; }));
  (void)member.stop();
  CHECK(seen.once(0, 500));
  CHECK(broker.committed("g", topic, 2) == std::vector<std::int64_t>{250, 250});
}

TEST_CASE("kafka mock: a commit that is refused is told, and made good", "[kafka]") {
  MockBroker broker;
  const std::string topic = broker.make_topic(1);
  broker.produce(topic, 0, 10);
  rd_kafka_mock_push_request_errors(broker.get(), commit_request, 1,
                                    RD_KAFKA_RESP_ERR_INVALID_COMMIT_OFFSET_SIZE);
  Seen seen;
  Member member({.properties = broker.member("g"), .topics = {topic}, .commit_interval = 50ms}, 5,
                seen);
  REQUIRE(eventually([&] { return member.stats().refused_commits == 1; }));
  CHECK(member.told("a commit was refused"));
  REQUIRE(
      eventually([&] { return broker.committed("g", topic) == std::vector<std::int64_t>{10}; }));
  (void)member.stop();
}

TEST_CASE("kafka mock: errors of fetches are withstood", "[kafka]") {
  MockBroker broker;
  const std::string topic = broker.make_topic(1);
  broker.produce(topic, 0, 100);
  rd_kafka_mock_push_request_errors(
      broker.get(), fetch_request, 3, RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
      RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR, RD_KAFKA_RESP_ERR__TRANSPORT);
  Seen seen;
  Member member({.properties = broker.member("g"), .topics = {topic}}, 100, seen);
  REQUIRE(eventually([&] { return seen.distinct() == 100; }));
  (void)member.stop();
  CHECK(seen.once(0, 100));
}

TEST_CASE("kafka mock: a record that is refused is named, and the others are not sent again",
          "[kafka]") {
  MockBroker broker;
  const std::string topic = broker.make_topic(1);
  microbatch::kafka::Sink sink(
      {.properties = broker.properties(
           {{"enable.idempotence", "false"}, {"batch.num.messages", "1"}, {"max.in.flight", "1"}}),
       .topic = topic});
  const std::vector<Record> records{{.value = "0"}, {.value = "1"}, {.value = "2"}};
  rd_kafka_mock_push_request_errors(broker.get(), produce_request, 2, RD_KAFKA_RESP_ERR_NO_ERROR,
                                    RD_KAFKA_RESP_ERR_INVALID_RECORD);
  const auto errors = sink.put(records);
  REQUIRE(errors.size() == 1);
  CHECK(errors[0].index == 1);
  CHECK_THROWS_AS(std::rethrow_exception(errors[0].error), microbatch::kafka::Error);
  CHECK(broker.read(topic).size() == 2);
}

TEST_CASE("kafka mock: a put from inside on_event is refused, for it would wait for itself",
          "[kafka]") {
  MockBroker broker;
  const std::string topic = broker.make_topic(1);
  std::atomic<microbatch::kafka::Sink*> to{nullptr};
  std::atomic<int> refused{0};
  microbatch::kafka::Sink sink({.properties = broker.properties({{"debug", "msg"}}),
                                .topic = topic,
                                .on_event = [&](const std::string&) {
                                  const Record record{.value = "event"};
                                  try {
                                    if (to != nullptr) (void)to.load()->put({&record, 1});
                                  } catch (const microbatch::UsageError&) {
                                    ++refused;
                                  }
                                }});
  to = &sink;
  const std::vector<Record> records{{.value = "0"}, {.value = "1"}};
  CHECK(sink.put(records).empty());
  to = nullptr;
  CHECK(refused > 0);
  CHECK(broker.read(topic).size() == 2);
}

TEST_CASE("kafka mock: a put of nothing returns", "[kafka]") {
  MockBroker broker;
  const std::string topic = broker.make_topic(1);
  microbatch::kafka::Sink sink({.properties = broker.properties({}), .topic = topic});
  CHECK(sink.put({}).empty());
}

TEST_CASE("kafka mock: a put is sent at once, unless linger.ms says otherwise", "[kafka]") {
  const std::string given = GENERATE("", "7");
  MockBroker broker;
  const std::string topic = broker.make_topic(1);
  auto properties = broker.properties({{"debug", "conf"}});
  if (!given.empty()) properties.set("linger.ms", given);
  std::mutex mutex;
  std::string lingers;
  const microbatch::kafka::Sink sink(
      {.properties = properties, .topic = topic, .on_event = [&](const std::string& event) {
         const std::string name = "queue.buffering.max.ms = ";  // linger.ms, by its older name
         const std::lock_guard lock(mutex);
         if (const auto at = event.find(name); at != std::string::npos)
           lingers = event.substr(at + name.size());
       }});
  CHECK(eventually([&] {
    const std::lock_guard lock(mutex);
    return lingers == (given.empty() ? "0" : given);
  }));
}

// It was tried again without end.
TEST_CASE("kafka mock: a record that the producer's queue never has room for is refused",
          "[kafka]") {
  MockBroker broker;
  const std::string topic = broker.make_topic(1);
  microbatch::kafka::Sink sink(
      {.properties = broker.properties({{"queue.buffering.max.kbytes", "4"}}), .topic = topic});
  const std::string large(10'000, 'x');
  const bool plain = GENERATE(true, false);  // they go two ways
  std::vector<Record> records{{.value = "0"}, {.value = large}, {.value = "2"}};
  if (!plain) records[1].headers = {{"a", "header"}};
  const auto errors = sink.put(records);
  REQUIRE(errors.size() == 1);
  CHECK(errors[0].index == 1);
  CHECK_THROWS_AS(std::rethrow_exception(errors[0].error), microbatch::kafka::Error);
  CHECK(broker.read(topic).size() == 2);
}

TEST_CASE("kafka mock: a put that is larger than the producer's queue arrives whole and in order",
          "[kafka]") {
  MockBroker broker;
  const std::string topic = broker.make_topic(1);
  microbatch::kafka::Sink sink(
      {.properties = broker.properties({{"queue.buffering.max.messages", "10"}}), .topic = topic});
  std::vector<Record> records(600);
  for (std::size_t i = 0; i < records.size(); ++i) {
    records[i].value = std::to_string(i);
    if (i % 7 == 0) records[i].headers = {{"seven", "yes"}};
    if (i % 11 == 0) records[i].partition = 0;
  }
  CHECK(sink.put(records).empty());
  const auto arrived = broker.read(topic);
  REQUIRE(arrived.size() == records.size());
  for (std::size_t i = 0; i < arrived.size(); ++i) {
    CHECK(arrived[i].value == records[i].value);
    CHECK(arrived[i].headers == records[i].headers);
  }
}

TEST_CASE("kafka mock: puts that overlap hear each of their own records", "[kafka]") {
  MockBroker broker;
  const std::string topic = broker.make_topic(2);
  microbatch::kafka::Sink sink({.properties = broker.properties(), .topic = topic});
  constexpr std::size_t threads = 4;
  std::vector<std::vector<std::size_t>> refused(threads);
  {
    std::vector<std::jthread> putting;
    for (std::size_t t = 0; t < threads; ++t)
      putting.emplace_back([&, t] {
        for (std::size_t put = 0; put < 20; ++put) {
          std::vector<Record> records(50, Record{.value = "small"});
          records[10 * t + put % 10].value = std::string(2'000'000, 'x');
          for (const auto& error : sink.put(records)) refused[t].push_back(error.index);
        }
      });
  }
  for (std::size_t t = 0; t < threads; ++t) {
    REQUIRE(refused[t].size() == 20);
    for (std::size_t put = 0; put < 20; ++put) CHECK(refused[t][put] == 10 * t + put % 10);
  }
  CHECK(broker.read(topic, 2).size() == threads * 20 * 49);
}

TEST_CASE("kafka mock: an outage is no record's fault", "[kafka]") {
  MockBroker broker;
  const std::string topic = broker.make_topic(1);
  std::atomic<bool> told{false};
  microbatch::kafka::Sink sink({.properties = broker.properties({{"message.timeout.ms", "300"}}),
                                .topic = topic,
                                .on_event = [&](const std::string& event) {
                                  if (event.find("brokers are down") != std::string::npos)
                                    told = true;
                                }});
  const std::vector<Record> records{{.value = "0"}};
  rd_kafka_mock_broker_set_down(broker.get(), 1);
  const auto errors = sink.put(records);
  REQUIRE(errors.size() == 1);
  CHECK_THROWS_AS(std::rethrow_exception(errors[0].error), microbatch::kafka::Unavailable);
  CHECK(eventually([&] { return told.load(); }));
  rd_kafka_mock_broker_set_up(broker.get(), 1);
  REQUIRE(eventually([&] { return sink.put(records).empty(); }));
  CHECK_FALSE(broker.read(topic).empty());
}

TEST_CASE("kafka mock: a broker that is down at the start, and comes, is waited for", "[kafka]") {
  MockBroker broker;
  const std::string topic = broker.make_topic(1);
  broker.produce(topic, 0, 10);
  rd_kafka_mock_broker_set_down(broker.get(), 1);
  Seen seen;
  Member member(
      {.properties = broker.member("g", {{"reconnect.backoff.max.ms", "100"}}), .topics = {topic}},
      10, seen);
  REQUIRE(eventually([&] { return member.told("brokers are down"); }));
  rd_kafka_mock_broker_set_up(broker.get(), 1);
  REQUIRE(eventually([&] { return seen.distinct() == 10; }));
  (void)member.stop();
}

TEST_CASE("kafka mock: no broker at the address is an error in time that names the property",
          "[kafka]") {
  for (const std::string address : {"127.0.0.1:1", "no-such-host.invalid:9092"}) {
    Seen seen;
    Member member({.properties = {{"bootstrap.servers", address}, {"group.id", "g"}},
                   .topics = {"t"},
                   .connect_timeout = 1s},
                  10, seen);
    const auto begin = std::chrono::steady_clock::now();
    try {
      (void)member.wait();
      FAIL("it must throw");
    } catch (const microbatch::kafka::Unavailable& error) {
      const std::string text = error.what();
      CHECK(text.find("kafka::Source: no broker answered within 1 s (bootstrap.servers is \"" +
                      address + "\")") == 0);
    }
    CHECK(std::chrono::steady_clock::now() - begin < 10s);
  }
}

TEST_CASE("kafka mock: a stop is heard while no broker is there", "[kafka]") {
  Seen seen;
  Member member({.properties = {{"bootstrap.servers", "127.0.0.1:1"}, {"group.id", "g"}},
                 .topics = {"t"},
                 .connect_timeout = 10min},
                10, seen);
  const auto begin = std::chrono::steady_clock::now();
  CHECK(member.stop().closed.delivered == 0);
  CHECK(std::chrono::steady_clock::now() - begin < 10s);
}
