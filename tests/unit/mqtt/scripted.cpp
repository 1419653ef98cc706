// What needs no broker: a peer that speaks as much MQTT as each test tells it to.

#include <microbatch/microbatch.hpp>
#include <microbatch/mqtt/sink.hpp>
#include <microbatch/mqtt/source.hpp>

#include <fmt/format.h>

#include <future>
#include <map>
#include <optional>

#include "support/catch.hpp"
#include "support/network.hpp"

#ifdef HAS_SQLITE
#include <microbatch/sqlite/durable_stream.hpp>

#include <sqlite3.h>

#include "unit/io/folder.hpp"
#endif

using namespace microbatch;
using namespace std::chrono_literals;
using namespace std::string_literals;
using test::Peer;
using test::Socket;

static_assert(CommittableSource<mqtt::Source, mqtt::Message>);
static_assert(PartialSink<mqtt::Sink, mqtt::Message>);
static_assert(ClosableSink<mqtt::Sink>);
static_assert(!fmt::is_formattable<Secret>::value, "secrets do not print");
static_assert(!std::is_convertible_v<Secret, std::string>);

namespace {

/// Of control packets: MQTT 5, section 2.1.2.
enum class Type : std::uint8_t { connect = 1, publish = 3, puback = 4, subscribe = 8 };

struct Packet {
  Type type{};
  std::string bytes;  // without the fixed header
};

/// Nothing when the client went away, or says nothing for two seconds.
std::optional<Packet> read_packet(Socket& client, std::string& held) {
  for (;;) {
    if (held.size() >= 2) {
      std::size_t length = 0, at = 1;
      for (int shift = 0; at < held.size(); shift += 7) {
        const auto byte = static_cast<unsigned char>(held[at++]);
        length |= static_cast<std::size_t>(byte & 0x7F) << shift;
        if (byte < 0x80) break;
      }
      if (held.size() >= at + length) {
        Packet packet{static_cast<Type>(static_cast<unsigned char>(held[0]) >> 4),
                      held.substr(at, length)};
        held.erase(0, at + length);
        return packet;
      }
    }
    if (!client.readable(2000)) return std::nullopt;
    const std::string more = client.read_some();
    if (more.empty()) return std::nullopt;
    held += more;
  }
}

const std::string connack_v3 = "\x20\x02\x00\x00"s;
const std::string connack_v3_present = "\x20\x02\x01\x00"s;
const std::string connack_v5 = "\x20\x03\x00\x00\x00"s;
/// With properties: MQTT 5, section 3.2.2.3.
std::string connack_v5_with(const std::string& properties) {
  const auto size = static_cast<char>(properties.size());
  return "\x20"s + static_cast<char>(3 + size) + "\x00\x00"s + size + properties;
}
std::string suback(const Packet& subscription, char code) {
  return "\x90\x03"s + subscription.bytes.substr(0, 2) + code;
}
/// QoS 1, message identifier 7, topic "t".
std::string publication(const std::string& payload, bool duplicate = false) {
  return std::string(1, duplicate ? '\x3A' : '\x32') + static_cast<char>(5 + payload.size()) +
         "\x00\x01t\x00\x07"s + payload;
}

mqtt::Connection connection(const Peer& peer) {
  return {.server = fmt::format("tcp://127.0.0.1:{}", peer.port()),
          .client_id = "scripted",
          .user = "somebody",
          .password = "canary-4711",
          .connect_timeout = 3s,
          .reconnect_first = 10ms,
          .reconnect_max = 20ms};
}
mqtt::SourceOptions source_options(const Peer& peer) {
  return {.connection = connection(peer), .subscriptions = {{"t"}}, .acknowledge_timeout = 200ms};
}

/// What constructing or running threw.
template <class F>
std::string error_of(F f) {
  try {
    f();
  } catch (const std::exception& error) {
    return error.what();
  }
  return "";
}

}  // namespace

TEST_CASE("a message that is not safe in time is not acknowledged: the connection is cut before",
          "[mqtt]") {
  std::atomic<int> acknowledged[2] = {0, 0};
  std::atomic<bool> first_ended{false}, second_done{false};
  Peer peer([&](Socket& client, int number) {
    if (number > 1) return;
    std::string held;
    while (const auto packet = read_packet(client, held)) {
      if (packet->type == Type::connect)
        client.write(number == 0 ? connack_v3 : connack_v3_present + publication("m", true));
      if (packet->type == Type::subscribe) client.write(suback(*packet, 1) + publication("m"));
      if (packet->type == Type::puback) {
        CHECK(packet->bytes == "\x00\x07"s);
        ++acknowledged[number];
        if (number == 1) second_done = true;
      }
      if (second_done) return;
    }
    if (number == 0) first_ended = true;
  });
  mqtt::Source source(source_options(peer));
  std::stop_source stop;
  std::vector<mqtt::Message> seen;
  source.receive(
      [&](mqtt::Message&& message, Duration timeout) {
        CHECK(timeout == 200ms);
        seen.push_back(message);
        if (seen.size() == 1) {
          std::this_thread::sleep_for(timeout);  // a sync that takes too long
          return mqtt::Source::Taken::not_safe;
        }
        CHECK(first_ended);
        stop.request_stop();
        return mqtt::Source::Taken::safe;
      },
      stop.get_token());
  for (int i = 0; i < 1000 && !second_done; ++i) std::this_thread::sleep_for(1ms);
  CHECK(acknowledged[0] == 0);
  CHECK(acknowledged[1] == 1);
  REQUIRE(seen.size() == 2);
  CHECK(seen[0] == mqtt::Message{.topic = "t", .payload = "m"});
  CHECK(seen[1] == mqtt::Message{.topic = "t", .payload = "m", .duplicate = true});
  CHECK(source.stats().cuts == 1);
  CHECK(source.stats().messages == 1);
}

TEST_CASE(
    "messages that come with the connection and are never safe are not acknowledged, and no error",
    "[mqtt]") {
  // Once the acknowledgement went out where a message was refused before the socket was known, and
  // the source ended after connect_timeout, as though no broker were there.
  std::atomic<int> acknowledged{0};
  Peer peer([&](Socket& client, int) {
    std::string held;
    while (const auto packet = read_packet(client, held)) {
      if (packet->type == Type::connect) client.write(connack_v3_present + publication("m"));
      if (packet->type == Type::puback) ++acknowledged;
      if (packet->type == Type::subscribe) client.write(suback(*packet, 1));
    }
  });
  auto options = source_options(peer);
  options.connection.connect_timeout = 100ms;
  mqtt::Source source(options);
  std::stop_source stop;
  const auto begin = steady_clock().now();
  int refused = 0;
  source.receive(
      [&](mqtt::Message&&, Duration) {
        if (++refused >= 5 && steady_clock().now() - begin > 500ms) stop.request_stop();
        return mqtt::Source::Taken::not_safe;
      },
      stop.get_token());
  CHECK(acknowledged == 0);
  CHECK(source.stats().messages == 0);
  CHECK(source.stats().cuts >= 5);
}

TEST_CASE(
    "a message waits in its callback for room in a full stream, and is not acknowledged without",
    "[mqtt]") {
  std::atomic<int> acknowledged{0}, ended{0};
  Peer peer([&](Socket& client, int) {
    std::string held;
    while (const auto packet = read_packet(client, held)) {
      if (packet->type == Type::connect) client.write(connack_v3);
      if (packet->type == Type::subscribe) client.write(suback(*packet, 1) + publication("m"));
      if (packet->type == Type::puback) ++acknowledged, client.write(publication("n"));
    }
    ++ended;
  });
  mqtt::Source source(source_options(peer));
  std::atomic<bool> release{false};
  RunOptions<mqtt::Message, void> options;
  options.stream.capacity = 1;
  std::stop_source stop;
  options.stop = stop.get_token();
  std::jthread watcher([&] {
    while (ended == 0) std::this_thread::sleep_for(1ms);
    CHECK(acknowledged == 1);  // the first took the stream's only room; the second was cut
    release = true;
    while (acknowledged < 2) std::this_thread::sleep_for(1ms);
    stop.request_stop();
  });
  run(
      source, CountWindow{1},
      [&](Window<mqtt::Message>&) {
        while (!release) std::this_thread::sleep_for(1ms);
      },
      NoSink{}, std::move(options));
  CHECK(source.stats().cuts >= 1);
}

TEST_CASE("subscriptions are made again where the broker has lost the session, and only there",
          "[mqtt]") {
  std::atomic<int> subscriptions[3] = {0, 0, 0};
  std::stop_source stop;
  Peer peer([&](Socket& client, int number) {
    std::string held;
    while (const auto packet = read_packet(client, held)) {
      if (packet->type == Type::connect) {
        client.write(number == 1 ? connack_v3_present : connack_v3);
        if (number == 1) return std::this_thread::sleep_for(20ms);  // and it is gone again
      }
      if (packet->type == Type::subscribe) {
        client.write(suback(*packet, 1));
        ++subscriptions[std::min(number, 2)];
        if (number < 2) return;
        stop.request_stop();
      }
    }
  });
  mqtt::Source source(source_options(peer));
  source.receive([](auto&&, Duration) { return mqtt::Source::Taken::safe; }, stop.get_token());
  CHECK(subscriptions[0] == 1);
  CHECK(subscriptions[1] == 0);
  CHECK(subscriptions[2] == 1);
}

TEST_CASE("a refused user is an error that names the setting, not the password", "[mqtt]") {
  const bool v5 = GENERATE(false, true);
  Peer peer([&](Socket& client, int) {
    std::string held;
    if (read_packet(client, held)) client.write(v5 ? "\x20\x03\x00\x86\x00"s : "\x20\x02\x00\x04"s);
    (void)read_packet(client, held);
  });
  auto options = source_options(peer);
  options.connection.version = v5 ? mqtt::Version::v5 : mqtt::Version::v3_1_1;
  mqtt::Source source(options);
  const auto text = error_of([&] { source.receive({}, {}); });
  CHECK_THAT(text, ContainsSubstring("Connection.user, password"));
  CHECK(text.find("canary") == std::string::npos);
  CHECK_THROWS_AS(mqtt::Sink({.connection = options.connection}), mqtt::Error);
}

TEST_CASE("a refused subscription is an error that names it", "[mqtt]") {
  Peer peer([&](Socket& client, int) {
    std::string held;
    while (const auto packet = read_packet(client, held)) {
      if (packet->type == Type::connect) client.write(connack_v3);
      if (packet->type == Type::subscribe) client.write(suback(*packet, '\x80'));
    }
  });
  mqtt::Source source(source_options(peer));
  CHECK_THAT(error_of([&] { source.receive({}, {}); }),
             ContainsSubstring("SourceOptions.subscriptions") && ContainsSubstring("'t'"));
}

TEST_CASE("no broker, or one that says nothing, is an error within connect_timeout", "[mqtt]") {
  const bool silent = GENERATE(false, true);
  std::optional<Peer> peer;
  peer.emplace([&](Socket& client, int) {
    (void)client.readable(2000), (void)client.read_some(), (void)client.readable(3000);
  });
  auto options = source_options(*peer);
  options.connection.connect_timeout = 1s;
  if (!silent) peer.reset();
  const auto begin = std::chrono::steady_clock::now();
  mqtt::Source source(options);
  CHECK_THROWS_AS(source.receive({}, {}), mqtt::Unavailable);
  const auto text = error_of([&] { mqtt::Sink sink({.connection = options.connection}); });
  CHECK_THAT(text, ContainsSubstring("Connection.server: " + options.connection.server));
  CHECK(std::chrono::steady_clock::now() - begin < 10s);
}

TEST_CASE("a source that waits for a broker which says nothing is stopped all the same", "[mqtt]") {
  std::stop_source stop;
  Peer peer([&](Socket& client, int) {
    (void)client.readable(2000);
    stop.request_stop();
    (void)client.read_some();
    (void)client.readable(1000);
  });
  auto options = source_options(peer);
  options.connection.connect_timeout = 30s;
  const auto begin = std::chrono::steady_clock::now();
  mqtt::Source source(options);
  source.receive({}, stop.get_token());
  CHECK(std::chrono::steady_clock::now() - begin < 10s);
}

TEST_CASE("a put tells which messages the broker has not acknowledged", "[mqtt]") {
  std::atomic<bool> second{false};
  Peer peer([&](Socket& client, int number) {
    std::string held;
    int published = 0;
    while (const auto packet = read_packet(client, held)) {
      if (packet->type == Type::connect) client.write(connack_v3);
      if (packet->type != Type::publish) continue;
      const std::string id = packet->bytes.substr(3, 2);
      ++published;
      if (number == 0 && published == 2) continue;  // never acknowledged
      second = number > 0;  // before the put hears of it
      client.write("\x40\x02"s + id);
      if (number == 0 && published == 3) return;  // the connection breaks
    }
  });
  mqtt::Sink sink({.connection = connection(peer), .timeout = 5s});
  const std::vector<mqtt::Message> messages{{.topic = "t", .payload = "1"},
                                            {.topic = "t", .payload = "2"},
                                            {.topic = "t", .payload = "3"},
                                            {.topic = "t/+", .payload = "4"},
                                            {.topic = ""}};
  const auto errors = sink.put(messages);
  std::map<std::size_t, bool> transient;
  for (const auto& [index, error] : errors) {
    try {
      std::rethrow_exception(error);
    } catch (const TransientError&) {
      transient[index] = true;
    } catch (const mqtt::Error&) {
      transient[index] = false;
    }
  }
  CHECK(transient == std::map<std::size_t, bool>{{1, true}, {3, false}, {4, false}});
  // Over a new connection, as soon as the end of the old one is noticed.
  PutErrors again(1);
  for (int i = 0; i < 10 && !again.empty(); ++i)
    again = sink.put(std::span(messages).subspan(1, 1));
  CHECK(again.empty());
  CHECK(second);
}

TEST_CASE("a message that an MQTT 5 broker refuses is an error of its own", "[mqtt]") {
  Peer peer([&](Socket& client, int) {
    std::string held;
    int published = 0;
    while (const auto packet = read_packet(client, held)) {
      if (packet->type == Type::connect) client.write(connack_v5);
      if (packet->type == Type::publish)  // not authorised; then fine
        client.write(++published == 1 ? "\x40\x03"s + packet->bytes.substr(3, 2) + '\x87'
                                      : "\x40\x02"s + packet->bytes.substr(3, 2));
    }
  });
  auto options = connection(peer);
  options.version = mqtt::Version::v5;
  mqtt::Sink sink({.connection = options, .timeout = 5s});
  const auto errors = sink.put(std::vector<mqtt::Message>{{.topic = "t"}, {.topic = "u"}});
  REQUIRE(errors.size() == 1);
  CHECK(errors[0].index == 0);
  CHECK_THROWS_AS(std::rethrow_exception(errors[0].error), mqtt::Error);
}

TEST_CASE("what the broker does not take is an error of its own, and the others are put",
          "[mqtt]") {
  // Once such a message made the broker cut the connection, at each attempt, without end.
  const bool v5 = GENERATE(false, true);
  std::atomic<int> published{0};
  Peer peer([&](Socket& client, int) {
    std::string held;
    while (const auto packet = read_packet(client, held)) {
      if (packet->type == Type::connect)  // packets of 20 bytes, QoS 1, nothing retained
        client.write(v5 ? connack_v5_with("\x27\x00\x00\x00\x14\x24\x01\x25\x00"s) : connack_v3);
      if (packet->type != Type::publish) continue;
      ++published;
      client.write("\x40\x02"s + packet->bytes.substr(3, 2));
    }
  });
  mqtt::SinkOptions options{.connection = connection(peer), .timeout = 5s};
  if (v5)
    options.connection.version = mqtt::Version::v5;
  else
    options.max_packet_size = 20;
  mqtt::Sink sink(options);
  const auto of_packet = [&](std::size_t size) {  // topic "t", QoS 1
    return mqtt::Message{.topic = "t", .payload = std::string(size - (v5 ? 8 : 7), 'x')};
  };
  std::vector<mqtt::Message> messages{of_packet(20), of_packet(21), of_packet(10)};
  std::vector<std::size_t> wrong{1};
  if (v5) {
    messages.push_back({.topic = "t", .qos = 2});
    messages.push_back({.topic = "t", .retain = true});
    wrong = {1, 3, 4};
  }
  const auto errors = sink.put(messages);
  REQUIRE(errors.size() == wrong.size());
  for (std::size_t i = 0; i < wrong.size(); ++i) {
    CHECK(errors[i].index == wrong[i]);
    CHECK_THROWS_AS(std::rethrow_exception(errors[i].error), mqtt::Error);
  }
  CHECK(published == 2);
}

TEST_CASE("a broker that takes two messages at a time gets no third one", "[mqtt]") {
  std::atomic<std::size_t> most{0};
  Peer peer([&](Socket& client, int) {
    std::string held;
    std::vector<std::string> waiting;
    while (const auto packet = read_packet(client, held)) {
      if (packet->type == Type::connect) client.write(connack_v5_with("\x21\x00\x02"s));
      if (packet->type != Type::publish) continue;
      waiting.push_back(packet->bytes.substr(3, 2));
      most = std::max(most.load(), waiting.size());
      if (!held.empty() || client.readable(50)) continue;  // more is coming
      for (const auto& id : waiting) client.write("\x40\x02"s + id);
      waiting.clear();
    }
  });
  mqtt::SinkOptions options{.connection = connection(peer), .timeout = 10s};
  options.connection.version = mqtt::Version::v5;
  mqtt::Sink sink(options);
  CHECK(sink.put(std::vector<mqtt::Message>(9, {.topic = "t"})).empty());
  CHECK(most == 2);
}

TEST_CASE("a broker that never acknowledges makes the put end in time", "[mqtt]") {
  Peer peer([&](Socket& client, int) {
    std::string held;
    while (const auto packet = read_packet(client, held))
      if (packet->type == Type::connect) client.write(connack_v3);
  });
  mqtt::Sink sink({.connection = connection(peer), .timeout = 300ms});
  const auto begin = std::chrono::steady_clock::now();
  CHECK(sink.put(std::vector<mqtt::Message>(3, {.topic = "t"})).size() == 3);
  CHECK(std::chrono::steady_clock::now() - begin < 5s);
}

TEST_CASE("a pipeline closes within its deadline while the broker acknowledges nothing", "[mqtt]") {
  std::promise<void> published;
  Peer peer([&](Socket& client, int) {
    std::string held;
    while (const auto packet = read_packet(client, held)) {
      if (packet->type == Type::connect) client.write(connack_v3);
      if (packet->type == Type::publish) published.set_value();
    }
  });
  Stream<mqtt::Message> stream;
  auto consumer = streaming(
      stream, CountWindow{1},
      [](Window<mqtt::Message>& w) { return std::vector<mqtt::Message>(w.begin(), w.end()); },
      {.sink = mqtt::Sink({.connection = connection(peer), .timeout = 1s})});
  stream.append({.topic = "t"});
  published.get_future().wait();
  const auto begin = steady_clock().now();
  const auto end = consumer.close(100ms);
  CHECK(steady_clock().now() - begin < 900ms);  // the put itself goes on for a second
  CHECK(end.timed_out);
  CHECK(end.abandoned + end.handed_back.size() == 1);
}

TEST_CASE("a payload above MQTT's limit is an error of its own, which asks no broker",
          "[mqtt][.long]") {  // a quarter of a gigabyte
  Peer peer([&](Socket& client, int) {
    std::string held;
    while (const auto packet = read_packet(client, held))
      if (packet->type == Type::connect) client.write(connack_v3);
  });
  mqtt::Sink sink({.connection = connection(peer), .timeout = 5s});
  const auto errors = sink.put(
      std::vector<mqtt::Message>{{.topic = "t", .payload = std::string(268'435'456, 'x')}});
  REQUIRE(errors.size() == 1);
  CHECK_THROWS_AS(std::rethrow_exception(errors[0].error), mqtt::Error);
}

#ifdef HAS_SQLITE

TEST_CASE(
    "a message whose synced append takes too long is not acknowledged until it is in the file",
    "[mqtt]") {
  const test::Folder folder;
  const std::string file = folder / "readings.db";
  sqlite::DurableStream<std::string> stream(file, "readings", {.file = {.busy_timeout = 10ms}});
  ::sqlite3* other = nullptr;  // holds the file, as another process would
  REQUIRE(::sqlite3_open(file.c_str(), &other) == SQLITE_OK);
  const auto execute = [&](const char* statement) {
    return ::sqlite3_exec(other, statement, nullptr, nullptr, nullptr) == SQLITE_OK;
  };
  REQUIRE(execute("BEGIN IMMEDIATE"));

  std::atomic<int> connections{0};
  std::atomic<bool> held_back{true}, early{false}, late{false};
  std::stop_source stop;
  Peer peer([&](Socket& client, int number) {
    std::string held;
    ++connections;
    while (const auto packet = read_packet(client, held)) {
      if (packet->type == Type::connect)
        client.write(number == 0 ? connack_v3 : connack_v3_present + publication("m", true));
      if (packet->type == Type::subscribe)
        client.write(suback(*packet, 1) + (number == 0 ? publication("m") : ""s));
      if (packet->type != Type::puback) continue;
      if (held_back) early = true;
      late = stream.stored().pending > 0;
      stop.request_stop();
      return;
    }
  });
  std::jthread release([&] {
    while (connections < 3) std::this_thread::sleep_for(1ms);  // twice in vain
    held_back = false;
    CHECK(execute("ROLLBACK"));
  });
  mqtt::Source source(source_options(peer));
  source.receive(
      [&](mqtt::Message&& message, Duration timeout) {
        const auto receipt = stream.append(std::move(message.payload), synced);
        if (receipt.wait_for(timeout) != std::future_status::ready)
          return mqtt::Source::Taken::not_safe;
        receipt.get();
        return mqtt::Source::Taken::safe;
      },
      stop.get_token());
  CHECK(!early);
  CHECK(late);
  CHECK(source.stats().cuts >= 2);
  release.join();
  ::sqlite3_close(other);
}

#endif

TEST_CASE("MQTT settings that cannot work are refused with their names", "[mqtt]") {
  const auto refused = [](auto change, const std::string& field) {
    mqtt::SourceOptions options{.connection = {.client_id = "c"}, .subscriptions = {{"t"}}};
    change(options);
    CHECK_THROWS_AS(mqtt::Source(options), ConfigError);
    CHECK_THAT(error_of([&] { mqtt::Source source(options); }), ContainsSubstring(field));
  };
  for (const std::string server : {"", "localhost:1883", "http://a:1", "tcp://a", "tcp://:1",
                                   "tcp://a:0", "tcp://a:65536", "tcp://a:1x"})
    refused([&](auto& o) { o.connection.server = server; }, "Connection.server");
  refused([](auto& o) { o.connection.client_id = ""; }, "client_id");
  refused([](auto& o) { o.connection.client_id = "a\xff"; }, "client_id");
  refused([](auto& o) { o.connection.password = "p"; }, "Connection.user");
  refused([](auto& o) { o.connection.tls.ca_file = "x"; }, "Connection.tls");
  refused([](auto& o) { o.connection.server = "ssl://a:1", o.connection.tls.ca_file = "/no"; },
          "tls.ca_file");
  refused([](auto& o) { o.connection.keep_alive = 0s; }, "keep_alive");
  refused([](auto& o) { o.connection.connect_timeout = -1s; }, "connect_timeout");
  refused([](auto& o) { o.connection.reconnect_first = 0s; }, "reconnect_first");
  refused([](auto& o) { o.connection.reconnect_max = 1ms; }, "reconnect_max");
  refused([](auto& o) { o.subscriptions.clear(); }, "subscriptions");
  for (const std::string filter : {"", "a#", "#/a", "a/b+", "+a", "\xc0\x80", "\xed\xa0\x80"})
    refused([&](auto& o) { o.subscriptions = {{filter}}; }, "subscriptions");
  refused([](auto& o) { o.subscriptions = {{"t", 2}}; }, "qos");
  refused([](auto& o) { o.acknowledge_timeout = 0s; }, "acknowledge_timeout");
  refused([](auto& o) { o.acknowledge_timeout = 61s; }, "acknowledge_timeout");
  refused([](auto& o) { o.session_expiry = 0s; }, "session_expiry");
  CHECK_THROWS_AS(mqtt::Sink({.timeout = 0s}), ConfigError);
  CHECK_THROWS_AS(mqtt::Sink({.max_unacknowledged = 0}), ConfigError);
  CHECK_THROWS_AS(mqtt::Sink({.max_packet_size = 0}), ConfigError);
}
