// What a bad network, or a broker that refuses us, leads to.

#include <microbatch/kafka/sink.hpp>

#include "broker.hpp"
#include "support/tcp_proxy.hpp"

using namespace test::kafka;
using namespace microbatch;
using test::TcpProxy;

namespace {

/// The broker's listener that advertises the proxy's address.
struct Proxied {
  RealBroker broker{};
  Turn turn{broker.fact("ca") + ".turn"};
  TcpProxy proxy{TcpProxy::port_of(broker.fact("proxied")), broker.fact("behind_proxy")};
  Broker through{broker.fact("proxied")};

  [[nodiscard]] Properties quick(Properties properties) const {
    return properties.set("reconnect.backoff.ms", "10").set("reconnect.backoff.max.ms", "100");
  }
};

Properties sasl(const RealBroker& broker) {
  return {{"bootstrap.servers", broker.fact("sasl_ssl")},
          {"security.protocol", "SASL_SSL"},
          {"sasl.mechanism", "PLAIN"},
          {"sasl.username", broker.fact("user")},
          {"sasl.password", broker.fact("password")},
          {"ssl.ca.location", broker.fact("ca")}};
}

/// The error that the sink's constructor throws.
std::string refusal(const Properties& properties, const std::string& topic, std::string* events) {
  const auto begin = std::chrono::steady_clock::now();
  std::mutex mutex;
  std::string text;
  try {
    const microbatch::kafka::Sink sink({.properties = properties,
                                        .topic = topic,
                                        .connect_timeout = 20s,
                                        .on_event = [&](const std::string& event) {
                                          std::lock_guard lock(mutex);
                                          *events += event + "\n";
                                        }});
    FAIL("it must throw");
  } catch (const microbatch::kafka::Error& error) {
    text = error.what();
  }
  CHECK(std::chrono::steady_clock::now() - begin < 15s);
  return text;
}

}  // namespace

TEST_CASE("kafka faults: a connection that is cut, slow or truncated loses nothing",
          "[kafka][proxy]") {
  Proxied world;
  const std::string topic = world.broker.make_topic(2);
  const std::string copy = world.broker.make_topic(1);
  const std::string group = unique("group");
  Seen seen;
  Member member({.properties = world.quick(world.through.member(group)), .topics = {topic}}, 50,
                seen);
  microbatch::kafka::Sink sink(
      {.properties = world.quick(world.through.properties()), .topic = copy});
  int produced = 0;
  const auto round = [&] {
    world.broker.produce(topic, produced, 500, 2);
    std::vector<Record> records;
    for (int i = produced; i < produced + 500; ++i) records.push_back({.value = std::to_string(i)});
    produced += 500;
    CHECK(sink.put(records).empty());
    REQUIRE(eventually([&] { return seen.distinct() == static_cast<std::size_t>(produced); }));
  };
  round();
  world.proxy.cut();
  round();
  world.proxy.cut_after(2000);  // in the middle of a fetch's answer, say
  round();
  world.proxy.delay(50ms);
  round();
  world.proxy.delay(0ms);
  std::thread back([&] {
    world.proxy.go_away();
    std::this_thread::sleep_for(1s);
    world.proxy.go_away(false);
  });
  round();
  back.join();
  round();
  (void)member.stop();
  CHECK(world.proxy.cuts() >= 3);
  CHECK(seen.distinct() == static_cast<std::size_t>(produced));
  CHECK(world.broker.committed(group, topic, 2) == std::vector<std::int64_t>(2, produced / 2));
  // The producer is idempotent: what it sent again is in the topic once, and in order.
  const auto copied = world.broker.read(copy);
  REQUIRE(copied.size() == static_cast<std::size_t>(produced));
  for (std::size_t i = 0; i < copied.size(); ++i) REQUIRE(copied[i].value == std::to_string(i));
}

TEST_CASE("kafka faults: a broker that is gone for a minute, and back, costs nothing but time",
          "[.long][kafka][proxy]") {
  Proxied world;
  const std::string topic = world.broker.make_topic(2);
  const std::string copy = world.broker.make_topic(1);
  const std::string group = unique("group");
  microbatch::kafka::Source source(
      {.properties = world.quick(world.through.member(group)), .topics = {topic}});
  std::stop_source stop;
  auto end = std::async(std::launch::async, [&] {
    return run(source, any_of(CountWindow{50}, MaxAgeWindow{50ms}),
               [](std::span<const Record> window) {
                 std::vector<Record> results;
                 for (const Record& record : window) results.push_back({.value = record.value});
                 return results;
               },
               microbatch::kafka::Sink(
                   {.properties = world.quick(world.through.properties()), .topic = copy}),
               {.stop = stop.get_token()});
  });
  const auto committed = [&](std::int64_t each) {
    return eventually(
        [&] {
          return world.broker.committed(group, topic, 2) == std::vector<std::int64_t>(2, each);
        },
        90s);
  };
  world.broker.produce(topic, 0, 1000, 2);
  REQUIRE(committed(500));
  world.proxy.go_away();
  world.broker.produce(topic, 1000, 1000, 2);
  std::this_thread::sleep_for(60s);
  CHECK(world.broker.committed(group, topic, 2) == std::vector<std::int64_t>(2, 500));
  world.proxy.go_away(false);
  REQUIRE(committed(1000));
  stop.request_stop();
  const auto result = end.get();
  CHECK(result.stats.balances());
  CHECK(result.closed.dead_lettered == 0);
  std::map<std::string, int> copied;
  for (const Record& record : world.broker.read(copy)) ++copied[record.value.value()];
  CHECK(copied.size() == 2000);
}

TEST_CASE("kafka faults: close ends in time while the broker is gone", "[kafka][proxy]") {
  Proxied world;
  const std::string topic = world.broker.make_topic(1);
  Seen seen;
  Member member(
      {.properties = world.quick(world.through.member(unique("group"))), .topics = {topic}}, 10,
      seen, {.drain_timeout = 1s});
  world.broker.produce(topic, 0, 10);
  REQUIRE(eventually([&] { return seen.distinct() == 10; }));
  world.proxy.go_away();
  const auto begin = std::chrono::steady_clock::now();
  (void)member.stop();
  CHECK(std::chrono::steady_clock::now() - begin < 15s);
}

TEST_CASE("kafka faults: TLS and SASL by properties", "[kafka][sasl]") {
  RealBroker broker;
  const std::string topic = broker.make_topic(1);
  std::string events;
  SECTION("with what is right, it works") {
    microbatch::kafka::Sink sink({.properties = sasl(broker), .topic = topic});
    const std::vector<Record> records{{.value = "0"}};
    CHECK(sink.put(records).empty());
  }
  SECTION("a wrong password is refused in time, and stands in no text") {
    const std::string canary = "canary-3141592653";
    const auto text =
        refusal(sasl(broker).set("sasl.password", canary).set("debug", "all"), topic, &events);
    CHECK(text.find("sasl.password") != std::string::npos);
    CHECK(events.size() > 1000);
    CHECK((text + events).find(canary) == std::string::npos);
    CHECK(fmt::format("{}", sasl(broker).set("sasl.password", canary)).find(canary) ==
          std::string::npos);
  }
  SECTION("a certificate that nobody we trust has signed is refused") {
    auto properties = sasl(broker);
    const auto text = refusal(
        properties.set("ssl.ca.location", "/etc/ssl/certs/ca-certificates.crt"), topic, &events);
    CHECK(text.find("ssl.ca.location") != std::string::npos);
  }
}
