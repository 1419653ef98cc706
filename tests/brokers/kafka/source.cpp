// The source against a real broker.

#include <microbatch/kafka/sink.hpp>

#include "broker.hpp"

using namespace test::kafka;
using namespace microbatch;

TEST_CASE("kafka: every record reaches a window, and is committed", "[kafka]") {
  RealBroker broker;
  const std::string topic = broker.make_topic(2);
  const std::string group = unique("group");
  broker.produce(topic, 0, 1000, 2);
  Seen seen;
  Member member({.properties = broker.member(group), .topics = {topic}}, 100, seen);
  REQUIRE(eventually([&] { return seen.distinct() == 1000; }));
  REQUIRE(eventually([&] {
    const auto stats = member.stats();
    return stats.partitions.size() == 2 && stats.partitions[0].lag + stats.partitions[1].lag == 0;
  }));
  const auto result = member.stop();
  CHECK(seen.once(0, 1000));
  CHECK(result.closed.delivered == 1000);
  CHECK(result.stats.balances());
  CHECK(broker.committed(group, topic, 2) == std::vector<std::int64_t>{500, 500});
}

TEST_CASE("kafka: a member that comes back goes on where it had committed", "[kafka]") {
  RealBroker broker;
  const std::string topic = broker.make_topic(1);
  const std::string group = unique("group");
  broker.produce(topic, 0, 300);
  Seen seen;
  for (std::size_t round = 0; round < 2; ++round) {
    Member member({.properties = broker.member(group), .topics = {topic}}, 100, seen);
    REQUIRE(eventually([&] { return seen.distinct() == 300 * (round + 1); }));
    (void)member.stop();
    broker.produce(topic, 300, 300);
  }
  CHECK(seen.once(0, 600));
}

TEST_CASE("kafka: a window that fails holds back the commit, and is read again", "[kafka]") {
  RealBroker broker;
  const std::string topic = broker.make_topic(1);
  const std::string group = unique("group");
  broker.produce(topic, 0, 100);
  {
    Seen seen;
    seen.before = [](Window<Record>& window) {
      if (window.sequence() == 2) throw TransientError("an outage");
    };
    Member member({.properties = broker.member(group), .topics = {topic}}, 10, seen,
                  {.drain_timeout = 100ms});
    REQUIRE(eventually([&] {
      const auto stats = member.stats();
      return stats.records == 100 && stats.partitions.size() == 1 &&
             stats.partitions[0].committed == 20 && stats.partitions[0].lag == 80 &&
             stats.partitions[0].oldest_unsettled > 1ms;
    }));
    const auto result = member.stop();
    CHECK(result.closed.timed_out);
    CHECK(result.closed.handed_back.size() == 80);
    CHECK(result.stats.balances());
  }
  CHECK(broker.committed(group, topic) == std::vector<std::int64_t>{20});
  Seen seen;
  Member member({.properties = broker.member(group), .topics = {topic}}, 10, seen);
  REQUIRE(eventually([&] { return seen.distinct() == 80; }));
  (void)member.stop();
  CHECK(seen.once(20, 80));
}

TEST_CASE("kafka: keys, headers, timestamps and nulls come with the record", "[kafka]") {
  RealBroker broker;
  const std::string topic = broker.make_topic(2);
  const auto at = microbatch::kafka::Timestamp(1'700'000'000'123ms);
  std::vector<Record> records{{.partition = 1,
                               .timestamp_kind = microbatch::kafka::TimestampKind::create,
                               .timestamp = at,
                               .key = "k",
                               .value = std::string("v\0w", 3),
                               .headers = {{"a", "1"}, {"b", std::nullopt}, {"c", ""}}},
                              {.partition = 1, .key = std::nullopt, .value = ""},
                              {.partition = 1, .key = "", .value = std::nullopt}};
  microbatch::kafka::Sink sink({.properties = broker.properties(), .topic = topic});
  REQUIRE(sink.put(records).empty());

  std::vector<Record> seen;
  microbatch::kafka::Source source(
      {.properties = broker.member(unique("group")), .topics = {topic}});
  std::stop_source stop;
  (void)run(source, CountWindow{3},
            [&](std::span<Record> window) {
              seen.assign(window.begin(), window.end());
              stop.request_stop();
            },
            NoSink{}, {.stop = stop.get_token()});
  REQUIRE(seen.size() == 3);
  for (std::size_t i = 0; i < 3; ++i) {
    CHECK(seen[i].topic == topic);
    CHECK(seen[i].partition == 1);
    CHECK(seen[i].offset == static_cast<std::int64_t>(i));
    CHECK(seen[i].key == records[i].key);
    CHECK(seen[i].value == records[i].value);
    CHECK(seen[i].headers == records[i].headers);
    CHECK(seen[i].timestamp_kind == microbatch::kafka::TimestampKind::create);
  }
  CHECK(seen[0].timestamp == at);
}

TEST_CASE("kafka: start_at begins at a time where the group has committed nothing", "[kafka]") {
  RealBroker broker;
  const std::string topic = broker.make_topic(2);
  const std::string group = unique("group");
  const auto at = [](int hour) {
    return microbatch::kafka::Timestamp(std::chrono::hours(400'000 + hour));
  };
  for (int hour = 0; hour < 4; ++hour)
    broker.produce(topic, 10 * hour, 10, 1, at(hour).time_since_epoch().count());
  Seen seen;
  {
    Member member({.properties = broker.member(group), .topics = {topic}, .start_at = at(2) - 1ms},
                  5, seen);
    REQUIRE(eventually([&] { return seen.distinct() == 20; }));
    (void)member.stop();
    CHECK(seen.once(20, 20));
  }
  // It has committed now: an earlier time changes nothing.
  Member member({.properties = broker.member(group), .topics = {topic}, .start_at = at(0)}, 5,
                seen);
  broker.produce(topic, 40, 10);
  REQUIRE(eventually([&] { return seen.distinct() == 30; }));
  (void)member.stop();
  CHECK(seen.once(20, 30));
}

TEST_CASE("kafka: a poison record goes to the dead-letter topic, and the rest goes on", "[kafka]") {
  RealBroker broker;
  const std::string topic = broker.make_topic(1);
  const std::string dead = broker.make_topic(1);
  const std::string group = unique("group");
  broker.produce(topic, 0, 100);
  Seen seen;
  seen.before = [](Window<Record>& window) {
    for (const Record& record : window)
      if (record.value == "42") throw std::runtime_error("not an answer");
  };
  Member member({.properties = broker.member(group), .topics = {topic}}, 10, seen,
                {.consumer = {.dead_letters = microbatch::kafka::DeadLetters(
                                  {.properties = broker.properties(), .topic = dead}),
                              .on_failure = {.first_delay = 1ms}}});
  REQUIRE(eventually([&] { return seen.distinct() == 99; }));
  const auto result = member.stop();
  CHECK(result.closed.dead_lettered == 1);
  CHECK(broker.committed(group, topic) == std::vector<std::int64_t>{100});
  const auto letters = broker.read(dead);
  REQUIRE(letters.size() == 1);
  CHECK(letters[0].value == "42");
  using microbatch::kafka::Header;
  CHECK(letters[0].headers == std::vector<Header>{{"error", "not an answer"},
                                                  {"attempts", "6"},
                                                  {"source-topic", topic},
                                                  {"source-partition", "0"},
                                                  {"source-offset", "42"}});
}

TEST_CASE("kafka: a full stream pauses reading, and nothing is lost or read twice", "[kafka]") {
  RealBroker broker;
  const std::string topic = broker.make_topic(2);
  const std::string group = unique("group");
  broker.produce(topic, 0, 2000, 2);
  std::promise<void> release;
  const auto released = release.get_future().share();
  Seen seen;
  seen.before = [&](Window<Record>&) { released.wait(); };
  // It must stay in the group although it stands still for longer than max.poll.interval.ms.
  Member member(
      {.properties = broker.member(group, {{"max.poll.interval.ms", "3000"}}), .topics = {topic}},
      10, seen, {.stream = {.capacity = 64}});
  REQUIRE(eventually([&] { return member.stats().pauses == 1; }));
  broker.produce(topic, 2000, 200, 2);
  std::this_thread::sleep_for(4s);
  CHECK(member.partitions() == 2);
  CHECK_FALSE(member.told("lost"));
  release.set_value();
  REQUIRE(eventually([&] { return seen.distinct() == 2200; }));
  (void)member.stop();
  CHECK(seen.once(0, 2200));
  CHECK(broker.committed(group, topic, 2) == std::vector<std::int64_t>{1100, 1100});
}
