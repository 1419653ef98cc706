// Sources and sinks against a real server of MongoDB's protocol, through a proxy that cuts and
// refuses.

#include <microbatch/io/generator_source.hpp>
#include <microbatch/io/position_file.hpp>
#include <microbatch/io/range_source.hpp>
#include <microbatch/microbatch.hpp>
#include <microbatch/mongodb/sink.hpp>
#include <microbatch/mongodb/source.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <random>
#include <set>

#include "support/broker.hpp"
#include "support/catch.hpp"
#include "support/tcp_proxy.hpp"
#include "unit/io/folder.hpp"

using namespace microbatch;
using namespace std::chrono_literals;
using mongodb::Document;

namespace {

const test::Broker broker;

std::string unique(const std::string& name) {
  return fmt::format("{}_{}", name, std::random_device{}());
}
Document numbered(int i) {
  return Document::from_json(fmt::format(R"({{"_id": {0}, "n": {0}}})", i));
}
std::vector<Document> numbered(int from, int to) {
  std::vector<Document> all;
  for (int i = from; i < to; ++i) all.push_back(numbered(i));
  return all;
}
int number_of(const Document& document) {
  const auto json = document.to_json();
  return std::stoi(json.substr(json.rfind("\"n\" : ") + 6));
}
std::vector<int> numbers(int from, int to) {
  std::vector<int> all;
  for (int i = from; i < to; ++i) all.push_back(i);
  return all;
}
/// Which failed, and whether for good.
std::map<std::size_t, bool> failures(const PutErrors& errors) {
  std::map<std::size_t, bool> all;
  for (const auto& [index, error] : errors) {
    try {
      std::rethrow_exception(error);
    } catch (const TransientError&) {
      all[index] = false;
    } catch (const mongodb::Error&) {
      all[index] = true;
    }
  }
  return all;
}

struct Place {
  std::string collection = unique("c");
  std::string uri = broker["server"];

  [[nodiscard]] mongodb::SinkOptions sink() const {
    return {.uri = uri,
            .database = "microbatch",
            .collection = collection,
            .connect_timeout = 5s,
            .timeout = 5s};
  }
  [[nodiscard]] mongodb::SourceOptions source() const {
    return {.uri = uri,
            .database = "microbatch",
            .collection = collection,
            .poll_interval = 5ms,
            .connect_timeout = 5s,
            .reconnect_max = 100ms};
  }
};

/// Everything that a source reads until it ends, or until `enough` items have been seen.
std::vector<int> read_all(const mongodb::SourceOptions& options,
                          std::size_t enough = ~std::size_t{0}) {
  mongodb::Source source(options);
  std::vector<int> seen;
  std::stop_source stop;
  RunOptions<Document, void> run_options;
  run_options.stop = stop.get_token();
  run(
      source, any_of(CountWindow{100}, MaxAgeWindow{1ms}),
      [&](Window<Document>& window) {
        for (const auto& document : window) seen.push_back(number_of(document));
        if (seen.size() >= enough) stop.request_stop();
      },
      NoSink{}, std::move(run_options));
  return seen;
}

}  // namespace

TEST_CASE("a collection is read in order, and on from the kept position", "[mongodb][broker]") {
  if (!broker.has("server")) return;
  const test::Folder folder;
  const Place place;
  mongodb::Sink sink(place.sink());
  auto shuffled = numbered(0, 500);
  std::shuffle(shuffled.begin(), shuffled.end(), std::mt19937(4711));
  CHECK(sink.put(shuffled).empty());
  auto options = place.source();
  options.position = folder / "position";
  CHECK(read_all(options) == numbers(0, 500));
  CHECK(read_all(options).empty());
  CHECK(sink.put(numbered(500, 510)).empty());
  CHECK(read_all(options) == numbers(500, 510));
}

TEST_CASE("a collection is read in the order of another field, and filtered", "[mongodb][broker]") {
  if (!broker.has("server")) return;
  const test::Folder folder;
  const Place place;
  mongodb::Sink sink(place.sink());
  std::vector<Document> documents;
  for (int i = 0; i < 20; ++i)
    documents.push_back(Document::from_json(fmt::format(R"({{"_id": {}, "kind": "{}", "n": {}}})",
                                                        -i, i % 2 == 0 ? "even" : "odd", i)));
  CHECK(sink.put(documents).empty());
  auto options = place.source();
  options.order_by = "n";
  options.filter = R"({"kind": "odd", "n": {"$lt": 10}})";
  options.position = folder / "position";
  CHECK(read_all(options) == std::vector{1, 3, 5, 7, 9});
  options.filter = R"({"kind": "odd"})";
  CHECK(read_all(options) == std::vector{11, 13, 15, 17, 19});
  options.order_by = "_id";  // a position of another order is no position
  CHECK_THROWS_AS(read_all(options), PositionError);
  options.position.clear();
  options.order_by = "missing";
  CHECK_THROWS_WITH(read_all(options), ContainsSubstring("SourceOptions.order_by"));
}

TEST_CASE("what was not delivered is read again", "[mongodb][broker]") {
  if (!broker.has("server")) return;
  const test::Folder folder;
  const Place place;
  mongodb::Sink sink(place.sink());
  CHECK(sink.put(numbered(0, 100)).empty());
  auto options = place.source();
  options.position = folder / "position";
  {
    mongodb::Source source(options);
    RunOptions<Document, void> run_options;
    run_options.drain_timeout = 100ms;
    const auto result = run(
        source, CountWindow{10},
        [&](Window<Document>& window) {
          if (number_of(window[0]) >= 40) throw TransientError("the rest of the world is away");
        },
        NoSink{}, std::move(run_options));
    CHECK(result.closed.timed_out);
  }
  CHECK(read_all(options) == numbers(40, 100));
}

TEST_CASE("a growing collection is followed", "[mongodb][broker]") {
  if (!broker.has("server")) return;
  const Place place;
  mongodb::Sink sink(place.sink());
  CHECK(sink.put(numbered(0, 1)).empty());
  auto options = place.source();
  options.follow = true;
  std::jthread writer([&] {
    for (int i = 1; i < 50; ++i) CHECK(sink.put(numbered(i, i + 1)).empty());
  });
  CHECK(read_all(options, 50) == numbers(0, 50));
}

TEST_CASE("changes are followed from the kept token on, also those made meanwhile",
          "[mongodb][broker]") {
  if (!broker.has("changes")) return;
  const test::Folder folder;
  const Place place;
  mongodb::Sink sink(place.sink());
  CHECK(sink.put(numbered(0, 1)).empty());
  auto options = place.source();
  options.read = mongodb::Read::changes;
  options.position = folder / "position";
  options.save_every = 0s;
  std::jthread writer([&](const std::stop_token& stop) {  // until the stream is open
    for (int i = 1; !stop.stop_requested(); ++i) {
      CHECK(sink.put(numbered(i, i + 1)).empty());
      std::this_thread::sleep_for(20ms);
    }
  });
  const auto first = read_all(options, 3);
  writer.request_stop();
  writer.join();
  CHECK(sink.put(numbered(1000, 1003)).empty());  // while nobody reads
  const auto then = read_all(options, static_cast<std::size_t>(1));
  REQUIRE(!then.empty());
  auto all = first;
  all.insert(all.end(), then.begin(), then.end());
  CHECK(std::ranges::adjacent_find(all) == all.end());
  for (std::size_t i = 1; i < all.size() && all[i] < 1000; ++i) CHECK(all[i] == all[i - 1] + 1);
  while (all.back() != 1002) {
    const auto more = read_all(options, 1);
    all.insert(all.end(), more.begin(), more.end());
  }
  CHECK(std::ranges::count(all, 1000) == 1);
  CHECK(std::ranges::count(all, 1001) == 1);
  CHECK(std::ranges::count(all, 1002) == 1);
}

TEST_CASE("a collection that does not exist is an error that names it", "[mongodb][broker]") {
  if (!broker.has("server")) return;
  CHECK_THROWS_WITH(read_all(Place().source()), ContainsSubstring("SourceOptions.collection"));
}

TEST_CASE("documents that fail are told by index, and the others are written",
          "[mongodb][broker]") {
  if (!broker.has("server")) return;
  const Place place;
  auto options = place.sink();
  options.ordered = GENERATE(false, true);
  mongodb::Sink sink(options);
  CHECK(sink.put(numbered(3, 4)).empty());
  auto documents = numbered(0, 6);  // 3 is there already
  documents[1] = Document::from_bson("no document");
  const auto failed = failures(sink.put(documents));
  if (options.ordered)  // what is behind the failure is put again
    CHECK(failed == std::map<std::size_t, bool>{{1, true}, {3, true}, {4, false}, {5, false}});
  else
    CHECK(failed == std::map<std::size_t, bool>{{1, true}, {3, true}});
  CHECK(read_all(place.source()) ==
        (options.ordered ? std::vector{0, 2, 3} : std::vector{0, 2, 3, 4, 5}));
  CHECK(failures(sink.put(std::vector{
            Document::from_json(fmt::format(R"({{"x": "{}"}})", std::string(17'000'000, 'x')))})) ==
        std::map<std::size_t, bool>{{0, true}});
  CHECK(sink.put({}).empty());
}

TEST_CASE("upserts can be repeated", "[mongodb][broker]") {
  if (!broker.has("server")) return;
  const Place place;
  auto options = place.sink();
  options.upsert_by = "_id";
  mongodb::Sink sink(options);
  CHECK(sink.put(numbered(0, 100)).empty());
  CHECK(sink.put(numbered(50, 150)).empty());
  CHECK(read_all(place.source()) == numbers(0, 150));
  CHECK(failures(sink.put(std::vector{Document::from_json(R"({"n": 1})")})) ==
        std::map<std::size_t, bool>{{0, true}});
}

TEST_CASE("a document that cannot be written is a dead letter, and the rest goes on",
          "[mongodb][broker]") {
  if (!broker.has("server")) return;
  const Place place;
  std::vector<int> items(100);
  std::iota(items.begin(), items.end(), 0);
  const auto result = run(
      RangeSource(items), CountWindow{10},
      [](std::span<const int> window) {
        std::vector<Document> documents;
        for (const int i : window)
          documents.push_back(i == 0    ? Document()
                              : i == 55 ? Document::from_bson("no document")
                              : i == 77 ? numbered(76)  // there already
                                        : numbered(i));
        return documents;
      },
      mongodb::Sink(place.sink()));
  CHECK(result.closed.delivered == 97);
  CHECK(result.closed.dead_lettered == 3);
  auto expected = numbers(1, 100);
  std::erase_if(expected, [](int i) { return i == 55 || i == 77; });
  CHECK(read_all(place.source()) == expected);
}

TEST_CASE("a document that the callback cannot use is a dead letter, and the position passes it",
          "[mongodb][broker]") {
  if (!broker.has("server")) return;
  const test::Folder folder;
  const Place place;
  mongodb::Sink sink(place.sink());
  CHECK(sink.put(numbered(0, 50)).empty());
  auto options = place.source();
  options.position = folder / "position";
  std::vector<int> seen, buried;
  RunOptions<Document, void> run_options;
  run_options.consumer.on_failure.first_delay = 1ms;
  run_options.consumer.dead_letters = [&](DeadLetter<Document>&& letter) {
    buried.push_back(number_of(letter.item));
  };
  const auto bad = [](int i) { return i == 25 || i == 49; };
  const auto result = run(
      mongodb::Source(options), CountWindow{10},
      [&](Window<Document>& window) {
        for (const auto& document : window)
          if (bad(number_of(document))) throw std::runtime_error("not what was agreed");
        for (const auto& document : window) seen.push_back(number_of(document));
      },
      NoSink{}, std::move(run_options));
  CHECK(result.closed.delivered == 48);
  CHECK(buried == std::vector{25, 49});
  std::ranges::sort(seen);  // halves of a window may end in any order
  auto good = numbers(0, 50);
  std::erase_if(good, bad);
  CHECK(seen == good);
  CHECK(read_all(options).empty());
}

TEST_CASE("a server that is not there at the start, and comes, is waited for",
          "[mongodb][broker]") {
  if (!broker.has("server")) return;
  test::TcpProxy proxy(0, broker["server"]);
  const std::string uri = fmt::format("mongodb://127.0.0.1:{}/", proxy.port());
  const Place place;
  const auto comes_soon = [&] {
    proxy.go_away();
    return std::jthread([&] {
      std::this_thread::sleep_for(500ms);
      proxy.go_away(false);
    });
  };
  auto sink_options = place.sink();
  sink_options.uri = uri;
  sink_options.connect_timeout = 20s;  // libmongoc looks again after five seconds
  {
    const auto coming = comes_soon();
    mongodb::Sink sink(sink_options);
    CHECK(sink.put(numbered(0, 10)).empty());
  }
  auto source_options = place.source();
  source_options.uri = uri;
  source_options.connect_timeout = 20s;
  const auto coming = comes_soon();
  CHECK(read_all(source_options) == numbers(0, 10));
}

TEST_CASE("a slow link changes nothing but the time", "[mongodb][broker]") {
  if (!broker.has("server")) return;
  test::TcpProxy proxy(0, broker["server"]);
  proxy.delay(20ms);
  Place place;
  place.uri = fmt::format("mongodb://127.0.0.1:{}/", proxy.port());
  mongodb::Sink sink(place.sink());
  CHECK(sink.put(numbered(0, 300)).empty());
  CHECK(read_all(place.source()) == numbers(0, 300));
}

namespace {

/// From a generator through the proxy into a collection, and from there, through the proxy, to
/// `seen`; meanwhile `harm` does what it likes to the proxy.
template <class Harm>
void check_that_nothing_is_lost(int items, std::chrono::microseconds pace, Harm harm) {
  test::TcpProxy proxy(0, broker["server"]);
  Place place;
  place.uri = fmt::format("mongodb://127.0.0.1:{}/?retryWrites=false&serverSelectionTimeoutMS=500",
                          proxy.port());
  auto sink_options = place.sink();
  sink_options.upsert_by = "_id";
  mongodb::Sink sink(sink_options);
  CHECK(sink.put(numbered(0, 1)).empty());
  auto source_options = place.source();
  source_options.follow = true;
  std::vector<int> seen;
  std::jthread reader([&] { seen = read_all(source_options, static_cast<std::size_t>(items)); });
  std::jthread breaker([&] { harm(proxy); });
  RunOptions<int, Document> options;
  options.consumer.on_failure.first_delay = 10ms;
  options.consumer.on_failure.max_delay = 100ms;
  int next = 1;
  const auto result = run(
      GeneratorSource([&]() -> std::optional<int> {
        if (next == items) return std::nullopt;
        std::this_thread::sleep_for(pace);
        return next++;
      }),
      CountWindow{20},
      [](std::span<const int> window) {
        std::vector<Document> documents;
        for (const int i : window) documents.push_back(numbered(i));
        return documents;
      },
      std::move(sink), std::move(options));
  CHECK(result.closed.delivered == static_cast<std::uint64_t>(items - 1));
  CHECK(result.closed.dead_lettered == 0);
  reader.join();
  CHECK(seen == numbers(0, items));  // in order, none twice
  CHECK(proxy.connections() > 2);
}

}  // namespace

TEST_CASE("connections that break, and a server that is gone for a while, lose nothing",
          "[mongodb][broker]") {
  if (!broker.has("server")) return;
  check_that_nothing_is_lost(2000, 250us, [](test::TcpProxy& proxy) {
    for (int i = 0; i < 6; ++i) {
      std::this_thread::sleep_for(150ms);
      if (i == 3) {
        proxy.go_away();
        std::this_thread::sleep_for(700ms);
        proxy.go_away(false);
      } else if (i % 2 == 0) {
        proxy.cut_after(700,
                        i == 2 ? test::TcpProxy::Way::to_client : test::TcpProxy::Way::to_server);
      } else {
        proxy.cut();
      }
    }
  });
}

TEST_CASE("a server that is gone for a minute is waited for, and nothing is lost",
          "[mongodb][broker][.long]") {
  if (!broker.has("server")) return;
  check_that_nothing_is_lost(2000, 1ms, [](test::TcpProxy& proxy) {
    std::this_thread::sleep_for(500ms);
    proxy.go_away();
    std::this_thread::sleep_for(60s);
    proxy.go_away(false);
  });
}
