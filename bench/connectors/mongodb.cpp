// How many documents a second does a sink write, beside a bare bulk insert of the same size, and
// one by one? On loopback, where a round trip costs next to nothing, and over a link where it costs
// what it does between machines.

#include <fmt/format.h>
#include <mongoc/mongoc.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <random>
#include <ranges>
#include <stdexcept>
#include <string>
#include <vector>

#include <microbatch/io/range_source.hpp>
#include <microbatch/microbatch.hpp>
#include <microbatch/mongodb/sink.hpp>

#include "rounds.hpp"
#include "support/tcp_proxy.hpp"

namespace {

using microbatch::mongodb::Document;
using Clock = std::chrono::steady_clock;

constexpr std::size_t documents = 20'000;
constexpr std::size_t window = 1000;
constexpr const char* database = "bench";

const std::string server = bench::server("MICROBATCH_TEST_MONGODB");

std::string fresh_collection() {
  static int number = 0;
  static const unsigned run = std::random_device{}();
  return fmt::format("c_{}_{}", run, number++);
}

const std::vector<Document>& all_documents() {
  static const std::vector<Document> all = [] {
    std::vector<Document> made;
    for (std::size_t i = 0; i < documents; ++i)
      made.push_back(Document::from_json(
          fmt::format(R"({{"_id": {}, "name": "{}", "amount": {}, "tags": ["a", "b"]}})", i,
                      std::string(60, 'x'), i % 100)));
    return made;
  }();
  return all;
}

bson_t view(const Document& document) {
  bson_t bson;
  if (!bson_init_static(&bson, reinterpret_cast<const std::uint8_t*>(document.bson().data()),
                        document.bson().size()))
    throw std::logic_error("no document");
  return bson;
}

/// A bare client and a fresh collection.
struct Bare {
  explicit Bare(const std::string& uri)
      : client(mongoc_client_new(uri.c_str())),
        collection(mongoc_client_get_collection(client, database, fresh_collection().c_str())) {}
  Bare(const Bare&) = delete;
  Bare& operator=(const Bare&) = delete;
  ~Bare() {
    mongoc_collection_drop(collection, nullptr);
    mongoc_collection_destroy(collection);
    mongoc_client_destroy(client);
  }

  mongoc_client_t* client;
  mongoc_collection_t* collection;
};

double bare_bulk(const std::string& uri) {
  const Bare bare(uri);
  const auto& all = all_documents();
  const auto begin = Clock::now();
  for (std::size_t i = 0; i < all.size(); i += window) {
    bson_t options = BSON_INITIALIZER;
    BSON_APPEND_BOOL(&options, "ordered", false);
    auto* bulk = mongoc_collection_create_bulk_operation_with_opts(bare.collection, &options);
    for (std::size_t k = i; k < i + window; ++k) {
      const bson_t bson = view(all[k]);
      mongoc_bulk_operation_insert_with_opts(bulk, &bson, nullptr, nullptr);
    }
    bson_t reply;
    bson_error_t error;
    const auto good = mongoc_bulk_operation_execute(bulk, &reply, &error);
    bson_destroy(&reply);
    mongoc_bulk_operation_destroy(bulk);
    bson_destroy(&options);
    if (good == 0) throw std::runtime_error(error.message);
  }
  return static_cast<double>(documents) / bench::seconds_since(begin);
}

double one_by_one(const std::string& uri, std::size_t count) {
  const Bare bare(uri);
  const auto& all = all_documents();
  const auto begin = Clock::now();
  for (std::size_t i = 0; i < count; ++i) {
    const bson_t bson = view(all[i]);
    bson_error_t error;
    if (!mongoc_collection_insert_one(bare.collection, &bson, nullptr, nullptr, &error))
      throw std::runtime_error(error.message);
  }
  return static_cast<double>(count) / bench::seconds_since(begin);
}

/// The whole pipeline.
double through_the_sink(const std::string& uri) {
  const auto& all = all_documents();
  const auto collection = fresh_collection();
  microbatch::mongodb::Sink sink({.uri = uri, .database = database, .collection = collection});
  const auto begin = Clock::now();
  const auto result = microbatch::run(
      microbatch::RangeSource(std::views::all(all)), microbatch::CountWindow{window},
      [](microbatch::Window<Document>& w) {
        return std::vector<Document>(std::make_move_iterator(w.begin()),
                                     std::make_move_iterator(w.end()));
      },
      std::move(sink));
  const double speed = static_cast<double>(documents) / bench::seconds_since(begin);
  if (result.closed.delivered != documents) throw std::logic_error("documents were lost");
  auto* client = mongoc_client_new(server.c_str());
  auto* written = mongoc_client_get_collection(client, database, collection.c_str());
  mongoc_collection_drop(written, nullptr);
  mongoc_collection_destroy(written);
  mongoc_client_destroy(client);
  return speed;
}

}  // namespace

int main() {
  mongoc_log_set_handler(nullptr, nullptr);  // of servers without sessions it complains each time
  mongoc_init();
  const auto contenders = [](const std::string& uri, std::size_t singles) {
    return std::vector<bench::Contender>{
        {"bare bulk insert", documents, [=] { return bare_bulk(uri); }},
        {"mongodb::Sink, CountWindow", documents, [=] { return through_the_sink(uri); }},
        {"bare inserts, one by one", singles, [=] { return one_by_one(uri, singles); }}};
  };
  const auto title = fmt::format("MongoDB, windows of {} documents of {} bytes", window,
                                 all_documents().front().bson().size());
  bench::compare(title + ", on loopback", 7, contenders(server, 2000));
  test::TcpProxy proxy(0, server);
  proxy.delay(std::chrono::milliseconds(1));
  bench::compare(title + ", over a link of 1 ms each way", 7,
                 contenders(fmt::format("mongodb://127.0.0.1:{}/", proxy.port()), 200));
}
