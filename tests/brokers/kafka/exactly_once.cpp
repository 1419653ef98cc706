// From Kafka to Kafka in transactions, against a real broker.

#include <microbatch/kafka/exactly_once.hpp>

#include "broker.hpp"
#include "support/tcp_proxy.hpp"

using namespace test::kafka;
using namespace microbatch;
using microbatch::kafka::ExactlyOnceOptions;
using microbatch::kafka::run_exactly_once;
using KafkaSource = microbatch::kafka::Source;

namespace {

struct World {
  RealBroker broker{};
  std::string in = broker.make_topic(2);
  std::string out = broker.make_topic(1);
  std::string dead = broker.make_topic(1);
  std::string group = unique("group");

  [[nodiscard]] microbatch::kafka::SourceOptions source(const Properties& more = {}) const {
    return {.properties = broker.member(group, more), .topics = {in}, .revoke_timeout = 200ms};
  }
  [[nodiscard]] ExactlyOnceOptions options(std::stop_token stop) const {
    return {.output = {.properties = broker.properties({{"transactional.id", unique("tx")},
                                                        {"transaction.timeout.ms", "10000"}}),
                       .topic = out},
            .dead_letter_topic = dead,
            .consumer = {.on_failure = {.first_delay = 1ms}},
            .stop = stop};
  }
  /// How often each number is in the results.
  [[nodiscard]] std::map<std::string, int> results() const {
    std::map<std::string, int> counts;
    for (const Record& record : broker.read(out)) ++counts[record.value.value()];
    return counts;
  }
  [[nodiscard]] bool each_once(int n) const {
    const auto counts = results();
    return counts.size() == static_cast<std::size_t>(n) &&
           std::all_of(counts.begin(), counts.end(), [](auto& c) { return c.second == 1; });
  }
  [[nodiscard]] std::int64_t processed() const {
    std::int64_t sum = 0;
    for (const auto offset : broker.committed(group, in, 2))
      sum += std::max<std::int64_t>(0, offset);
    return sum;
  }
};

/// A member of the group that ended in the midst of a transaction.
class LostMember {
 public:
  /// It has committed `committed` records of each partition, and was about to commit `open`.
  LostMember(const World& world, std::int64_t committed, std::int64_t open)
      : producer_(RD_KAFKA_PRODUCER, world.options({}).output.properties) {
    require(rd_kafka_init_transactions(producer_.get(), 30'000));
    process(world, committed);
    end(true);
    process(world, open);
  }
  /// What the broker does once it has missed the member for long enough; or, where the member had
  /// asked for it before it ended, a commit.
  void end(bool commits) {
    require(commits ? rd_kafka_commit_transaction(producer_.get(), 30'000)
                    : rd_kafka_abort_transaction(producer_.get(), 30'000));
  }

 private:
  static void require(rd_kafka_error_t* error) {
    if (error != nullptr) FAIL(rd_kafka_error_string(error));
  }
  void process(const World& world, std::int64_t offset) {
    require(rd_kafka_begin_transaction(producer_.get()));
    const List offsets(rd_kafka_topic_partition_list_new(2));
    rd_kafka_topic_partition_list_add_range(offsets.get(), world.in.c_str(), 0, 1);
    for (int i = 0; i < 2; ++i) offsets->elems[i].offset = offset;
    auto* const group = rd_kafka_consumer_group_metadata_new(world.group.c_str());
    require(rd_kafka_send_offsets_to_transaction(producer_.get(), offsets.get(), group, 30'000));
    rd_kafka_consumer_group_metadata_destroy(group);
  }

  Client producer_;
};

std::vector<Record> copies(std::span<const Record> window) {
  std::vector<Record> results;
  for (const Record& record : window) results.push_back({.value = record.value});
  return results;
}

}  // namespace

TEST_CASE("kafka exactly once: failed attempts and lost members leave no double results",
          "[kafka]") {
  World world;
  world.broker.produce(world.in, 0, 1000, 2);
  std::stop_source stop;
  std::atomic<int> calls{0};
  const auto member = [&](std::stop_token token, int fail_at) {
    return std::async(std::launch::async, [&, token, fail_at] {
      KafkaSource source(world.source());
      return run_exactly_once(
          source, any_of(CountWindow{50}, MaxAgeWindow{50ms}),
          [&, fail_at](std::span<const Record> window) {
            if (++calls % fail_at == 0) throw TransientError("again");
            std::this_thread::sleep_for(5ms);
            return copies(window);
          },
          world.options(token));
    });
  };
  auto first = member(stop.get_token(), 3);
  REQUIRE(eventually([&] { return world.processed() > 100; }));
  std::stop_source stop_second;
  auto second = member(stop_second.get_token(), 4);
  REQUIRE(eventually([&] { return world.processed() > 500; }));
  world.broker.produce(world.in, 1000, 500, 2);
  stop_second.request_stop();
  CHECK(second.get().stats.balances());
  REQUIRE(eventually([&] { return world.processed() == 1500; }));
  stop.request_stop();
  CHECK(first.get().stats.balances());
  CHECK(world.each_once(1500));
}

// librdkafka asks for the committed offsets until no transaction is open, but forgets
// to where the assignment changes meanwhile: it then began at auto.offset.reset.
TEST_CASE("kafka exactly once: a partition begins where its lost owner's open transaction ends",
          "[kafka]") {
  const std::string strategy = GENERATE("cooperative-sticky", "range");
  const bool commits = GENERATE(false, true);
  World world;
  world.broker.produce(world.in, 0, 200, 2);
  LostMember lost(world, 30, 60);
  const auto options = world.source({{"partition.assignment.strategy", strategy}});
  KafkaSource first_source(options);
  KafkaSource second_source(options);
  std::stop_source stop;
  const auto member = [&](KafkaSource& source) {
    return std::async(std::launch::async, [&] {
      return run_exactly_once(source, any_of(CountWindow{10}, MaxAgeWindow{50ms}), copies,
                              world.options(stop.get_token()));
    });
  };
  auto first = member(first_source);
  REQUIRE(eventually([&] { return first_source.stats().partitions.size() == 2; }));
  auto second = member(second_source);
  REQUIRE(eventually([&] { return second_source.stats().partitions.size() == 1; }));
  lost.end(commits);
  const int done = commits ? 120 : 60;  // numbers lie in the partitions in turn
  CHECK(eventually([&] { return world.processed() == 200; }));
  CHECK(world.each_once(200 - done));
  int repeated = 0;
  for (const auto& [number, times] : world.results()) repeated += std::stoi(number) < done ? 1 : 0;
  CHECK(repeated == 0);
  stop.request_stop();
  CHECK(first.get().stats.balances());
  CHECK(second.get().stats.balances());
}

TEST_CASE("kafka exactly once: a poison record is one dead letter, in its transaction", "[kafka]") {
  World world;
  world.broker.produce(world.in, 0, 200, 2);
  std::stop_source stop;
  KafkaSource source(world.source());
  auto end = std::async(std::launch::async, [&] {
    return run_exactly_once(
        source, any_of(CountWindow{20}, MaxAgeWindow{50ms}),
        [](std::span<const Record> window) {
          for (const Record& record : window)
            if (record.value == "33" || record.value == "34") throw std::runtime_error("poison");
          auto results = copies(window);
          for (Record& result : results)
            if (result.value == "77") result.value = std::string(2'000'000, 'x');  // never taken
          return results;
        },
        world.options(stop.get_token()));
  });
  REQUIRE(eventually([&] { return world.processed() == 200; }));
  stop.request_stop();
  const auto result = end.get();
  CHECK(result.closed.dead_lettered == 3);
  CHECK(result.closed.delivered == 197);
  CHECK(world.each_once(197));
  CHECK(world.broker.read(world.dead).size() == 3);
}

TEST_CASE("kafka exactly once: a connection that is cut in a transaction changes nothing",
          "[kafka][proxy]") {
  World world;
  const test::kafka::Turn turn(world.broker.fact("ca") + ".turn");
  test::TcpProxy proxy(test::TcpProxy::port_of(world.broker.fact("proxied")),
                       world.broker.fact("behind_proxy"));
  world.broker.produce(world.in, 0, 1000, 2);
  std::stop_source stop;
  auto options = world.options(stop.get_token());
  options.output.properties.set("bootstrap.servers", world.broker.fact("proxied"))
      .set("reconnect.backoff.max.ms", "100");
  std::atomic<int> calls{0};
  KafkaSource source(world.source());
  auto end = std::async(std::launch::async, [&] {
    return run_exactly_once(
        source, any_of(CountWindow{50}, MaxAgeWindow{50ms}),
        [&](std::span<const Record> window) {
          if (++calls % 5 == 0) proxy.cut_after(100 + 37 * calls);
          return copies(window);
        },
        std::move(options));
  });
  REQUIRE(eventually([&] { return world.processed() == 1000; }, 60s));
  stop.request_stop();
  CHECK(end.get().stats.balances());
  CHECK(proxy.cuts() > 0);
  CHECK(world.each_once(1000));
}

TEST_CASE("kafka exactly once: what does not keep the order is refused", "[kafka]") {
  KafkaSource source(
      {.properties = {{"bootstrap.servers", "127.0.0.1:1"}, {"group.id", "g"}}, .topics = {"t"}});
  const auto refused = [&](auto change) {
    ExactlyOnceOptions options{.output = {.properties = {{"bootstrap.servers", "127.0.0.1:1"}}}};
    change(options);
    try {
      (void)run_exactly_once(source, CountWindow{1}, copies, std::move(options));
    } catch (const ConfigError& error) {
      return std::string(error.what());
    }
    return std::string("accepted");
  };
  CHECK(refused([](auto& o) { o.consumer.order = Order::unordered; }).find("consumer.order") !=
        std::string::npos);
  CHECK(refused([](auto& o) {
          o.stream.overflow = Overflow::drop_oldest;
        }).find("stream.overflow") != std::string::npos);
  CHECK(refused([](auto& o) { o.stream.expire_after = 1s; }).find("stream.expire_after") !=
        std::string::npos);
  CHECK(refused([](auto&) {}).find("transactional.id") != std::string::npos);
}
