// Reads orders from one collection, in order and from the kept position, and keeps a total per
// window in another. It needs a server: MICROBATCH_TEST_MONGODB=mongodb://localhost, say.

#include <fmt/format.h>

#include <cstdlib>
#include <filesystem>
#include <microbatch/microbatch.hpp>
#include <microbatch/mongodb/sink.hpp>
#include <microbatch/mongodb/source.hpp>
#include <random>
#include <string>
#include <vector>

namespace {

namespace mongodb = microbatch::mongodb;
using mongodb::Document;

int amount_of(const Document& order) {
  const std::string json = order.to_json();  // a program with a BSON library would read the bytes
  return std::stoi(json.substr(json.find("\"amount\" : ") + 11));
}

}  // namespace

int main() {
  const char* server = std::getenv("MICROBATCH_TEST_MONGODB");
  if (server == nullptr) {
    fmt::print("skipped, because MICROBATCH_TEST_MONGODB names no server\n");
    return 0;
  }
  const std::string run_id = std::to_string(std::random_device{}());
  const std::string orders = "orders_" + run_id;
  {
    mongodb::Sink sink({.uri = server, .database = "example", .collection = orders});
    std::vector<Document> all;
    for (int i = 0; i < 1000; ++i)
      all.push_back(Document::from_json(fmt::format(R"({{"_id": {}, "amount": {}}})", i, i % 10)));
    if (!sink.put(all).empty()) return 1;
  }

  int grand_total = 0;
  const auto total = [&](microbatch::Window<Document>& window) {
    int sum = 0;
    for (const Document& order : window) sum += amount_of(order);
    grand_total += sum;
    return Document::from_json(fmt::format(R"({{"_id": {}, "orders": {}, "total": {}}})",
                                           window.sequence(), window.size(), sum));
  };
  mongodb::Source source({.uri = server,
                          .database = "example",
                          .collection = orders,
                          .position = "orders-" + run_id + ".position"});
  const auto result = microbatch::run(source, microbatch::CountWindow{100}, total,
                                      mongodb::Sink({.uri = server,
                                                     .database = "example",
                                                     .collection = "totals_" + run_id,
                                                     .upsert_by = "_id"}));
  fmt::print("{} orders, {} in all\n", result.closed.delivered, grand_total);
  return result.closed.delivered == 1000 && grand_total == 4500 ? 0 : 1;
}
