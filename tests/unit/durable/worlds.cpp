#include "worlds.hpp"

#include <sqlite3.h>

namespace test {

void SqliteWorld::sql(const char* text) const {
  sqlite3* db = nullptr;
  REQUIRE(sqlite3_open(folder.file("test.db").c_str(), &db) == SQLITE_OK);
  CHECK(sqlite3_exec(db, text, nullptr, nullptr, nullptr) == SQLITE_OK);
  sqlite3_close(db);
}

Consumer consume(microbatch::DurableStream<std::string, microbatch::MemoryStorage>& stream,
                 std::size_t count, Callback<microbatch::MemoryStorage> callback,
                 microbatch::ConsumerOptions<std::string> options,
                 microbatch::DeliveryOptions delivery) {
  return microbatch::streaming(stream, microbatch::CountWindow{count}, std::move(callback),
                               std::move(options), delivery);
}

Consumer consume(microbatch::DurableStream<std::string, microbatch::sqlite::Storage>& stream,
                 std::size_t count, Callback<microbatch::sqlite::Storage> callback,
                 microbatch::ConsumerOptions<std::string> options,
                 microbatch::DeliveryOptions delivery) {
  return microbatch::streaming(stream, microbatch::CountWindow{count}, std::move(callback),
                               std::move(options), delivery);
}

}  // namespace test
