// What needs no server: settings, documents, and a peer that speaks as much of MongoDB's protocol
// as each test tells it to.

#include <microbatch/microbatch.hpp>
#include <microbatch/mongodb/sink.hpp>
#include <microbatch/mongodb/source.hpp>

#include <fmt/format.h>

#include <cstring>
#include <future>
#include <optional>

#include "support/catch.hpp"
#include "support/network.hpp"

using namespace microbatch;
using namespace std::chrono_literals;
using mongodb::Document;
using test::Peer;
using test::Socket;

static_assert(CommittableSource<mongodb::Source, Document>);
static_assert(PartialSink<mongodb::Sink, Document>);

namespace {

std::string number(std::int32_t n) {
  std::string bytes(4, '\0');
  std::memcpy(bytes.data(), &n, 4);
  return bytes;
}
std::int32_t number_at(const std::string& bytes, std::size_t at) {
  std::int32_t n = 0;
  std::memcpy(&n, bytes.data() + at, 4);
  return n;
}

/// A message of MongoDB's wire protocol; nothing when the client went away.
std::optional<std::string> read_message(Socket& client, std::string& held) {
  while (held.size() < 16 || held.size() < static_cast<std::size_t>(number_at(held, 0))) {
    if (!client.readable(5000)) return std::nullopt;
    const std::string more = client.read_some();
    if (more.empty()) return std::nullopt;
    held += more;
  }
  const auto size = static_cast<std::size_t>(number_at(held, 0));
  std::string message = held.substr(0, size);
  held.erase(0, size);
  return message;
}
/// OP_REPLY to an OP_QUERY, OP_MSG to an OP_MSG.
void answer(Socket& client, const std::string& request, const std::string& json) {
  const std::string document = Document::from_json(json).bson();
  const bool query = number_at(request, 12) == 2004;
  const std::string body =
      query ? number(8) + number(0) + number(0) + number(0) + number(1) + document
            : number(0) + std::string(1, '\0') + document;
  client.write(number(static_cast<std::int32_t>(16 + body.size())) + number(1) +
               request.substr(4, 4) + number(query ? 1 : 2013) + body);
}
const std::string hello =
    R"({"ok": 1, "ismaster": true, "isWritablePrimary": true, "minWireVersion": 0,
  "maxWireVersion": 13, "maxBsonObjectSize": 16777216, "maxMessageSizeBytes": 48000000,
  "maxWriteBatchSize": 100000, "helloOk": true, "readOnly": false})";
bool says(const std::string& message, const std::string& word) {
  return message.find(word) != std::string::npos;
}
bool is_hello(const std::string& message) {
  return says(message, "isMaster") || says(message, "ismaster") || says(message, "hello");
}

template <class F>
std::string error_of(F f) {
  try {
    f();
  } catch (const std::exception& error) {
    return error.what();
  }
  return "";
}
mongodb::SinkOptions sink_options(const Peer& peer) {
  return {.uri = fmt::format("mongodb://somebody:canary-4711@127.0.0.1:{}/", peer.port()),
          .database = "d",
          .collection = "c",
          .connect_timeout = 2s,
          .timeout = 2s};
}

}  // namespace

TEST_CASE("documents are BSON, with JSON as a way in and out", "[mongodb]") {
  const auto document = Document::from_json(R"({"a": 1, "b": ["x", null]})");
  CHECK(document.valid());
  CHECK(document.to_json() == R"({ "a" : 1, "b" : [ "x", null ] })");
  CHECK(Document::from_bson(document.bson()) == document);
  CHECK_THROWS_AS(Document::from_json("{"), mongodb::Error);
  CHECK_THROWS_AS(Document::from_json(""), mongodb::Error);
  CHECK_THROWS_AS(Document().to_json(), mongodb::Error);
  CHECK(!Document().valid());
  std::string lying = document.bson();
  lying[0] = '\x7f';
  CHECK(!Document::from_bson(lying).valid());
  std::string no_utf8 = Document::from_json(R"({"a": "??"})").bson();
  no_utf8.replace(no_utf8.find("??"), 1, "\xff");
  CHECK(!Document::from_bson(no_utf8).valid());
  std::string deep = Document::from_json("{}").bson();
  for (int depth = 0; depth < 10'000; ++depth) {  // a document whose field "a" is the one before
    if (depth == 100) CHECK(Document::from_bson(deep).valid());
    deep = number(static_cast<std::int32_t>(deep.size() + 8)) + "\x03" + "a" +
           std::string(1, '\0') + deep + std::string(1, '\0');
  }
  CHECK(!Document::from_bson(deep).valid());
}

TEST_CASE("a user that is refused is an error that names the setting, not the password",
          "[mongodb]") {
  const Peer peer([](Socket& client, int) {
    std::string held;
    while (const auto message = read_message(client, held))
      answer(
          client, *message,
          is_hello(*message) ? hello : R"({"ok": 0, "code": 18, "codeName": "AuthenticationFailed",
                                      "errmsg": "Authentication failed for canary-4711."})");
  });
  const auto text = error_of([&] { mongodb::Sink sink(sink_options(peer)); });
  CHECK_THAT(text, ContainsSubstring("SinkOptions.uri"));
  CHECK_THAT(text, !ContainsSubstring("canary"));
  CHECK_THROWS_AS(mongodb::Sink(sink_options(peer)), mongodb::Error);
}

TEST_CASE("no server, or one that says nothing, is an error within connect_timeout", "[mongodb]") {
  const bool silent = GENERATE(false, true);
  std::optional<Peer> peer;
  peer.emplace([&](Socket& client, int) {
    (void)client.readable(100);
    (void)client.read_some();
    (void)client.readable(1500);
  });
  auto options = sink_options(*peer);
  options.connect_timeout = 500ms;
  if (!silent) peer.reset();
  const auto begin = std::chrono::steady_clock::now();
  CHECK_THROWS_AS(mongodb::Sink(options), mongodb::Unavailable);
  mongodb::Source source(
      {.uri = options.uri, .database = "d", .collection = "c", .connect_timeout = 500ms});
  CHECK_THROWS_AS(run(source, CountWindow{1}, [](Window<Document>&) {}), mongodb::Unavailable);
  CHECK(std::chrono::steady_clock::now() - begin < 10s);
}

TEST_CASE("a pipeline closes within its deadline while the server answers nothing", "[mongodb]") {
  std::promise<void> written;
  const Peer peer([&](Socket& client, int) {
    std::string held;
    while (const auto message = read_message(client, held)) {
      if (says(*message, "insert"))
        written.set_value();
      else
        answer(client, *message, is_hello(*message) ? hello : R"({"ok": 1})");
    }
  });
  auto options = sink_options(peer);
  options.uri = fmt::format("mongodb://127.0.0.1:{}/?retryWrites=false", peer.port());
  options.timeout = 1s;
  Stream<int> stream;
  auto consumer =
      streaming(stream, CountWindow{1},
                [](Window<int>&) { return std::vector{Document::from_json(R"({"_id": 1})")}; },
                {.sink = mongodb::Sink(options)});
  stream.append(1);
  written.get_future().wait();
  const auto begin = steady_clock().now();
  const auto end = consumer.close(100ms);
  CHECK(steady_clock().now() - begin < 900ms);  // the put itself goes on for a second
  CHECK(end.timed_out);
  CHECK(end.abandoned + end.handed_back.size() == 1);
}

TEST_CASE("a source is stopped within its timeout while the server answers nothing", "[mongodb]") {
  std::stop_source stop;
  const Peer peer([&](Socket& client, int) {
    std::string held;
    while (const auto message = read_message(client, held)) {
      if (says(*message, "find"))
        stop.request_stop();  // and no answer
      else
        answer(client, *message, is_hello(*message) ? hello : R"({"ok": 1, "cursor": {"id": 0,
                 "ns": "d.$cmd.listCollections", "firstBatch": [{"name": "c"}]}})");
    }
  });
  mongodb::Source source({.uri = fmt::format("mongodb://127.0.0.1:{}/", peer.port()),
                          .database = "d",
                          .collection = "c",
                          .follow = true,
                          .timeout = 300ms});
  const auto begin = steady_clock().now();
  run(source, CountWindow{1}, [](Window<Document>&) {}, NoSink{}, {.stop = stop.get_token()});
  CHECK(stop.stop_requested());
  CHECK(steady_clock().now() - begin < 5s);
}

TEST_CASE("MongoDB settings that cannot work are refused with their names", "[mongodb]") {
  const auto refused = [](auto change, const std::string& field) {
    mongodb::SourceOptions options{
        .uri = "mongodb://u:canary-4711@localhost", .database = "d", .collection = "c"};
    change(options);
    CHECK_THROWS_AS(mongodb::Source(options), ConfigError);
    const auto text = error_of([&] { mongodb::Source source(options); });
    CHECK_THAT(text, ContainsSubstring(field));
    CHECK_THAT(text, !ContainsSubstring("canary"));
  };
  refused([](auto& o) { o.uri = ""; }, "SourceOptions.uri");
  refused([](auto& o) { o.uri = "mongodb://u:canary-4711@"; }, "SourceOptions.uri");
  refused([](auto& o) { o.uri = "http://u:canary-4711@localhost"; }, "SourceOptions.uri");
  refused([](auto& o) { o.uri = "mongodb://localhost/?sockettimeouts=1"; }, "'sockettimeouts'");
  refused([](auto& o) { o.database = ""; }, "SourceOptions.database");
  refused([](auto& o) { o.database = "a$b"; }, "SourceOptions.database");
  refused([](auto& o) { o.collection = ""; }, "SourceOptions.collection");
  refused([](auto& o) { o.order_by = ""; }, "SourceOptions.order_by");
  refused([](auto& o) { o.filter = "{"; }, "SourceOptions.filter");
  refused([](auto& o) { o.filter = "{}", o.read = mongodb::Read::changes; },
          "SourceOptions.filter");
  refused([](auto& o) { o.poll_interval = 0s; }, "poll_interval");
  refused([](auto& o) { o.connect_timeout = 0s; }, "connect_timeout");
  refused([](auto& o) { o.reconnect_max = 0s; }, "reconnect_max");
  refused([](auto& o) { o.save_every = -1s; }, "save_every");
  CHECK_THROWS_AS(mongodb::Sink({.uri = "mongodb://h", .database = "d"}), ConfigError);
  CHECK_THROWS_AS(
      mongodb::Sink({.uri = "mongodb://h", .database = "d", .collection = "c", .timeout = 0s}),
      ConfigError);
}
