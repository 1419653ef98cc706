// Sources and sinks against a real broker, through a proxy that cuts, delays and refuses.

#include <microbatch/io/generator_source.hpp>
#include <microbatch/microbatch.hpp>
#include <microbatch/mqtt/sink.hpp>
#include <microbatch/mqtt/source.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>

#include "support/broker.hpp"
#include "support/catch.hpp"
#include "support/mqtt_publish.hpp"
#include "support/tcp_proxy.hpp"

using namespace microbatch;
using namespace std::chrono_literals;

namespace {

const test::Broker broker;

std::string unique(const std::string& name) {
  return fmt::format("{}-{}", name, std::random_device{}());
}
mqtt::Connection direct(const std::string& id, mqtt::Version version = mqtt::Version::v3_1_1) {
  return {.server = broker["server"],
          .client_id = unique(id),
          .version = version,
          .connect_timeout = 10s,
          .reconnect_first = 20ms,
          .reconnect_max = 100ms};
}
mqtt::Connection through(const test::TcpProxy& proxy, const std::string& id) {
  auto connection = direct(id);
  connection.server = fmt::format("tcp://127.0.0.1:{}", proxy.port());
  return connection;
}
std::vector<mqtt::Message> numbered(const std::string& topic, int from, int to) {
  std::vector<mqtt::Message> messages;
  for (int i = from; i < to; ++i)
    messages.push_back({.topic = topic, .payload = std::to_string(i)});
  return messages;
}
std::set<int> numbers(int from, int to) {
  std::set<int> all;
  for (int i = from; i < to; ++i) all.insert(i);
  return all;
}
void publish(const std::vector<mqtt::Message>& messages) {
  test::mqtt_publish(test::Broker::port_of(broker["server"]), messages);
}
auto windows() { return any_of(CountWindow{100}, MaxAgeWindow{5ms}); }

/// A pipeline from a source, in a thread of its own, that remembers what it has seen.
class Received {
 public:
  Received(mqtt::SourceOptions options, RunOptions<mqtt::Message, void> run_options = {},
           std::function<void(Window<mqtt::Message>&)> callback = {})
      : source_(std::move(options)),
        thread_([this, run_options = std::move(run_options),
                 callback = std::move(callback)](const std::stop_token& stop) mutable {
          run_options.stop = stop;
          try {
            run(
                source_, windows(),
                [&](Window<mqtt::Message>& window) {
                  if (callback) callback(window);
                  const std::lock_guard lock(mutex_);
                  seen_.insert(seen_.end(), window.begin(), window.end());
                },
                NoSink{}, std::move(run_options));
          } catch (const std::exception& error) {
            const std::lock_guard lock(mutex_);
            error_ = error.what();
          }
        }) {
    for (int i = 0; i < 10'000 && source_.stats().connections == 0 && error().empty(); ++i)
      std::this_thread::sleep_for(1ms);
  }
  /// Until all of these have been seen, or half a minute has passed.
  std::set<int> wait_for(const std::set<int>& wanted) {
    for (int i = 0; i < 6'000 && !std::ranges::includes(seen_numbers(), wanted); ++i)
      std::this_thread::sleep_for(5ms);
    return seen_numbers();
  }
  std::set<int> seen_numbers() {
    std::set<int> all;
    for (const auto& message : seen()) all.insert(std::stoi(message.payload));
    return all;
  }
  std::vector<mqtt::Message> seen() {
    const std::lock_guard lock(mutex_);
    return seen_;
  }
  std::string error() {
    const std::lock_guard lock(mutex_);
    return error_;
  }
  void stop() {
    thread_.request_stop();
    if (thread_.joinable()) thread_.join();
  }
  mqtt::Source& source() { return source_; }

 private:
  mqtt::Source source_;
  std::mutex mutex_;
  std::vector<mqtt::Message> seen_;
  std::string error_;
  std::jthread thread_;
};

}  // namespace

TEST_CASE("messages arrive as they were published: topic, bytes, QoS", "[mqtt][broker]") {
  if (!broker.has("server")) return;
  const auto version = GENERATE(mqtt::Version::v3_1_1, mqtt::Version::v5);
  const auto topic = unique("t");
  Received received({.connection = direct("source", version), .subscriptions = {{topic + "/#"}}});
  mqtt::Sink sink({.connection = direct("sink", version)});
  const std::vector<mqtt::Message> sent{
      {.topic = topic + "/a", .payload = ""},
      {.topic = topic + "/b", .payload = std::string("\0\xff\n", 3), .qos = 0},
      {.topic = topic + "/c", .payload = std::string(2'000'000, 'x')},
      {.topic = topic + "/d", .payload = "two", .qos = 2}};
  CHECK(sink.put(sent).empty());
  for (int i = 0; i < 5000 && received.seen().size() < 4; ++i) std::this_thread::sleep_for(1ms);
  received.stop();
  auto expected = sent;
  expected[3].qos = 1;  // as it was subscribed to
  CHECK(received.seen() == expected);
}

TEST_CASE("a retained message comes to those who subscribe later, and says so", "[mqtt][broker]") {
  if (!broker.has("server")) return;
  const auto topic = unique("t");
  publish({{.topic = topic, .payload = "1", .retain = true}});
  Received received({.connection = direct("source"), .subscriptions = {{topic}}});
  CHECK(received.wait_for({1}) == std::set{1});
  CHECK(received.seen().front().retain);
  received.stop();
  publish({{.topic = topic, .retain = true}});  // the broker forgets it
}

TEST_CASE("what is published while a source is away comes when it is back", "[mqtt][broker]") {
  if (!broker.has("server")) return;
  const auto version = GENERATE(mqtt::Version::v3_1_1, mqtt::Version::v5);
  const auto topic = unique("t");
  const mqtt::SourceOptions options{.connection = direct("source", version),
                                    .subscriptions = {{topic}}};
  {
    Received first(options);
    first.stop();
  }
  publish(numbered(topic, 0, 500));
  Received second(options);
  CHECK(second.wait_for(numbers(0, 500)) == numbers(0, 500));
}

TEST_CASE("connections that break in the middle of everything lose nothing", "[mqtt][broker]") {
  if (!broker.has("server")) return;
  const auto topic = unique("t");
  test::TcpProxy to_source(0, broker["server"]);
  test::TcpProxy to_sink(0, broker["server"]);
  Received received({.connection = through(to_source, "source"), .subscriptions = {{topic}}});
  std::jthread breaker([&](const std::stop_token& stop) {
    for (int i = 0; i < 5 && !stop.stop_requested(); ++i) {
      std::this_thread::sleep_for(500ms);  // time to connect
      if (i % 2 == 0) {                    // within a packet
        to_source.cut_after(500, test::TcpProxy::Way::to_client);
        to_sink.cut_after(500, test::TcpProxy::Way::to_server);
      } else {
        to_source.cut();
      }
    }
  });
  RunOptions<int, mqtt::Message> options;
  options.consumer.on_failure.first_delay = 1ms;
  int next = 0;
  const auto result = run(
      GeneratorSource([&]() -> std::optional<int> {
        return next < 5000 ? std::optional(next++) : std::nullopt;
      }),
      CountWindow{250},
      [&](std::span<const int> items) { return numbered(topic, items.front(), items.back() + 1); },
      mqtt::Sink({.connection = through(to_sink, "sink"), .timeout = 5s}), std::move(options));
  breaker.request_stop();
  breaker.join();
  CHECK(result.closed.delivered == 5000);
  CHECK(received.wait_for(numbers(0, 5000)) == numbers(0, 5000));
  received.stop();
  CHECK(to_source.connections() > 1);
  CHECK(to_sink.connections() > 1);
}

TEST_CASE("a broker that is gone for a while is waited for, on both sides", "[mqtt][broker]") {
  if (!broker.has("server")) return;
  const auto topic = unique("t");
  test::TcpProxy proxy(0, broker["server"]);
  Received received({.connection = through(proxy, "source"), .subscriptions = {{topic}}});
  mqtt::Sink sink({.connection = through(proxy, "sink"), .timeout = 300ms});
  CHECK(sink.put(numbered(topic, 0, 10)).empty());
  proxy.go_away();
  try {
    const auto errors = sink.put(numbered(topic, 10, 20));
    REQUIRE(errors.size() == 10);
    CHECK_THROWS_AS(std::rethrow_exception(errors[0].error), mqtt::Unavailable);
  } catch (const mqtt::Unavailable&) {  // not even connected
  }
  proxy.go_away(false);
  PutErrors errors(1);
  for (int i = 0; i < 20 && !errors.empty(); ++i) {
    try {
      errors = sink.put(numbered(topic, 10, 20));
    } catch (const mqtt::Unavailable&) {
    }
  }
  CHECK(errors.empty());
  CHECK(received.wait_for(numbers(0, 20)) == numbers(0, 20));
}

TEST_CASE("a broker that is not there at the start, and comes, is waited for", "[mqtt][broker]") {
  if (!broker.has("server")) return;
  const auto topic = unique("t");
  test::TcpProxy proxy(0, broker["server"]);
  proxy.go_away();
  std::jthread comes([&] {
    std::this_thread::sleep_for(500ms);
    proxy.go_away(false);
  });
  Received received({.connection = through(proxy, "source"), .subscriptions = {{topic}}});
  CHECK(received.error().empty());
  comes.join();
  proxy.go_away();
  comes = std::jthread([&] {
    std::this_thread::sleep_for(500ms);
    proxy.go_away(false);
  });
  mqtt::Sink sink({.connection = through(proxy, "sink")});
  CHECK(sink.put(numbered(topic, 0, 10)).empty());
  CHECK(received.wait_for(numbers(0, 10)) == numbers(0, 10));
}

TEST_CASE("a payload that the callback cannot read is a dead letter, and the rest goes on",
          "[mqtt][broker]") {
  if (!broker.has("server")) return;
  const auto version = GENERATE(mqtt::Version::v3_1_1, mqtt::Version::v5);
  const auto topic = unique("t");
  const mqtt::SourceOptions options{.connection = direct("source", version),
                                    .subscriptions = {{topic}}};
  std::mutex mutex;
  std::multiset<std::string> buried;
  {
    RunOptions<mqtt::Message, void> run_options;
    run_options.consumer.on_failure.first_delay = 1ms;
    run_options.consumer.dead_letters = [&](DeadLetter<mqtt::Message>&& letter) {
      const std::lock_guard lock(mutex);
      buried.insert(letter.item.payload);
    };
    Received received(options, std::move(run_options), [](Window<mqtt::Message>& window) {
      for (const auto& message : window) (void)std::stoi(message.payload);
    });
    auto messages = numbered(topic, 0, 50);
    messages[20].payload = "no number";
    messages[40].payload = "";
    publish(messages);
    auto good = numbers(0, 50);
    good.erase(20);
    good.erase(40);
    CHECK(received.wait_for(good) == good);
    received.stop();
  }
  CHECK(buried == std::multiset<std::string>{"", "no number"});
  Received again(options);  // all of them were acknowledged
  publish(numbered(topic, 50, 51));
  CHECK(again.wait_for({50}) == std::set{50});
}

TEST_CASE("a slow link changes nothing but the time", "[mqtt][broker]") {
  if (!broker.has("server")) return;
  const auto topic = unique("t");
  test::TcpProxy proxy(0, broker["server"]);
  proxy.delay(20ms);
  Received received({.connection = through(proxy, "source"), .subscriptions = {{topic}}});
  mqtt::Sink sink({.connection = through(proxy, "sink")});
  CHECK(sink.put(numbered(topic, 0, 300)).empty());
  CHECK(received.wait_for(numbers(0, 300)) == numbers(0, 300));
}

TEST_CASE("a broker that is gone for a minute is waited for, on both sides, and nothing is lost",
          "[mqtt][broker][.long]") {
  if (!broker.has("server")) return;
  const auto topic = unique("t");
  test::TcpProxy proxy(0, broker["server"]);
  Received received({.connection = through(proxy, "source"), .subscriptions = {{topic}}});
  RunOptions<int, mqtt::Message> options;
  options.consumer.on_failure.max_delay = 1s;
  mqtt::Sink sink({.connection = through(proxy, "sink"), .timeout = 5s});
  std::jthread away([&] {
    std::this_thread::sleep_for(500ms);
    proxy.go_away();
    std::this_thread::sleep_for(60s);
    proxy.go_away(false);
  });
  int next = 0;
  const auto result = run(
      GeneratorSource([&]() -> std::optional<int> {
        if (next == 2000) return std::nullopt;
        std::this_thread::sleep_for(1ms);
        return next++;
      }),
      CountWindow{20},
      [&](std::span<const int> items) { return numbered(topic, items.front(), items.back() + 1); },
      std::move(sink), std::move(options));
  CHECK(result.closed.delivered == 2000);
  CHECK(received.wait_for(numbers(0, 2000)) == numbers(0, 2000));
}

TEST_CASE("on_commit: what the callback fails on is not acknowledged, and comes to the next source",
          "[mqtt][broker]") {
  if (!broker.has("server")) return;
  const auto topic = unique("t");
  mqtt::SourceOptions options{.connection = direct("source"),
                              .subscriptions = {{topic}},
                              .acknowledge = mqtt::Acknowledge::on_commit,
                              .acknowledge_timeout = 300ms};
  {
    Received first(options);
    first.stop();
  }
  publish(numbered(topic, 0, 20));
  {
    RunOptions<mqtt::Message, void> run_options;
    run_options.drain_timeout = 100ms;
    Received failing(options, std::move(run_options), [](Window<mqtt::Message>& window) {
      if (window[0].payload == "5") throw TransientError("the database is away");
    });
    failing.wait_for(numbers(0, 5));
    for (int i = 0; i < 5000 && failing.source().stats().cuts == 0; ++i)
      std::this_thread::sleep_for(1ms);
    CHECK(failing.source().stats().cuts >= 1);
    failing.stop();
    CHECK(!failing.seen_numbers().contains(5));
  }
  Received second(options);
  const auto seen = second.wait_for(numbers(5, 20));
  second.stop();
  CHECK(std::ranges::includes(seen, numbers(5, 20)));
  CHECK(!seen.contains(0));  // those had been acknowledged
}

TEST_CASE("from MQTT to MQTT in one process, faster in than out: no deadlock, nothing lost",
          "[mqtt][broker]") {
  if (!broker.has("server")) return;
  const auto in = unique("in"), out = unique("out");
  Received received({.connection = direct("check"), .subscriptions = {{out}}});
  mqtt::Source source({.connection = direct("source"), .subscriptions = {{in}}});
  mqtt::Sink forward({.connection = direct("forward"), .timeout = 2s});
  std::stop_source stop;
  std::jthread pipeline([&] {
    RunOptions<mqtt::Message, mqtt::Message> options;
    options.stream.capacity = 250;
    options.consumer.on_failure.first_delay = 1ms;
    options.stop = stop.get_token();
    run(
        source, windows(),
        [&](Window<mqtt::Message>& window) {
          std::vector<mqtt::Message> results(window.begin(), window.end());
          for (auto& message : results) message.topic = out;
          return results;
        },
        std::ref(forward), std::move(options));
  });
  while (source.stats().connections == 0) std::this_thread::sleep_for(1ms);
  publish(numbered(in, 0, 1000));
  CHECK(received.wait_for(numbers(0, 1000)) == numbers(0, 1000));
  stop.request_stop();
}

TEST_CASE("TLS and a password are used, and a wrong one, authority, host name or date is refused",
          "[mqtt][broker]") {
  if (!broker.has("tls_server")) return;
  auto connection = direct("tls");
  connection.server = broker["tls_server"];
  connection.user = broker["user"];
  connection.password = broker["password"];
  connection.tls.ca_file = broker["ca"];
  connection.connect_timeout = 5s;
  const auto topic = unique("t");
  {
    auto subscriber = connection;
    subscriber.client_id = unique("source");
    Received received({.connection = subscriber, .subscriptions = {{topic}}});
    mqtt::Sink sink({.connection = connection});
    CHECK(sink.put(numbered(topic, 0, 3)).empty());
    CHECK(received.wait_for(numbers(0, 3)) == numbers(0, 3));
  }
  const auto refused = [&](auto change, const std::string& setting) {
    auto other = connection;
    change(other);
    try {
      const mqtt::Sink sink({.connection = other});
      FAIL("it was not refused: " + setting);
    } catch (const std::runtime_error& error) {
      CHECK_THAT(error.what(), ContainsSubstring(setting));
      CHECK_THAT(error.what(), !ContainsSubstring("canary"));
    }
  };
  refused([](auto& c) { c.password = "canary-4711"; }, "Connection.user, password");
  refused([](auto& c) { c.tls.ca_file = ""; }, "Connection.tls");
  refused([](auto& c) { c.server.replace(c.server.find("localhost"), 9, "127.0.0.1"); }, "tls: ");
  refused(
      [](auto& c) {
        c.server = broker["expired_server"];
        c.tls.ca_file = broker["expired_ca"];
      },
      "certificate verify failed");
  connection.tls.ca_file = "";
  connection.tls.insecure_skip_verification = true;
  mqtt::Sink trusting({.connection = connection});
  CHECK(trusting.put(numbered(topic, 0, 1)).empty());
}
