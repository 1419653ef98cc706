// A durable stream with an allocation that fails: the first, the second, and so on until none is
// left to fail. Whatever fails, an append that said `synced` takes effect once, nothing else does
// twice, and after that the file works as if nothing had happened.
//
//   property_durable_out_of_memory    every 7th allocation; MICROBATCH_STRESS=7 makes it every one

#include <fmt/format.h>
#include <sqlite3.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <memory>
#include <microbatch/emitters/count_window.hpp>
#include <microbatch/sqlite/durable_stream.hpp>
#include <string>
#include <vector>

#include "support/failing_new.hpp"
#include "support/stress.hpp"

namespace {

using namespace std::chrono_literals;
using Stream = microbatch::sqlite::DurableStream<int>;

constexpr int items = 9;

auto consume(Stream& stream) {
  return microbatch::streaming(
      stream, microbatch::CountWindow{4},
      [](microbatch::sqlite::Window<int>& window) {
        for (const int item : window)
          window.transaction().execute("INSERT INTO seen VALUES (?)", item);
      },
      {.on_failure = {.first_delay = 1ms, .max_delay = 1ms}}, {.lease = 100ms});
}

/// Into `safe`, which has room: the items that it was told are.
void run_short_of_memory(const std::string& path, std::vector<int>& safe) {
  try {
    auto file = std::make_shared<microbatch::sqlite::Database>(path);
    Stream stream(file, "numbers");
    auto consumer = consume(stream);
    for (int i = 0; i < items; ++i) {
      try {
        stream.append(i, microbatch::synced).get();
        safe.push_back(i);
      } catch (const std::exception&) {
      }
    }
    (void)consumer.flush(2s);
    (void)consumer.close(2s);
  } catch (const std::exception&) {
  }
}

std::vector<int> effects(const std::string& path) {
  std::vector<int> seen;
  sqlite3* db = nullptr;
  sqlite3_stmt* query = nullptr;
  if (sqlite3_open_v2(path.c_str(), &db, SQLITE_OPEN_READWRITE, nullptr) == SQLITE_OK &&
      sqlite3_prepare_v2(db, "SELECT item FROM seen ORDER BY item", -1, &query, nullptr) ==
          SQLITE_OK)
    while (sqlite3_step(query) == SQLITE_ROW) seen.push_back(sqlite3_column_int(query, 0));
  sqlite3_finalize(query);
  sqlite3_close(db);
  return seen;
}

bool survives(const std::string& path, std::int64_t n, bool& failed) {
  {
    microbatch::sqlite::Database file(path);
    file.execute("CREATE TABLE seen(item INTEGER)", microbatch::Safety::written);
  }
  std::vector<int> safe;
  safe.reserve(items);
  fail_at = n;
  run_short_of_memory(path, safe);
  failed = fail_at.exchange(0) <= 0;
  {
    Stream stream(path, "numbers");
    auto consumer = consume(stream);
    consumer.flush();
  }
  const std::vector<int> seen = effects(path);
  const bool once = std::ranges::adjacent_find(seen) == seen.end();
  if (once && std::ranges::includes(seen, safe)) return true;
  fmt::print("FORBIDDEN, at allocation {}: {} items safe, {} effects, {}\n", n, safe.size(),
             seen.size(), once ? "some of the safe ones not" : "some of them twice");
  return false;
}

}  // namespace

int main() {
  char name[] = "/tmp/microbatch-memory-XXXXXX";
  if (mkdtemp(name) == nullptr) return 2;
  const std::string folder = name;
  const auto step = static_cast<std::int64_t>(7 / std::min<std::size_t>(7, stress::scaled(1) - 1));
  bool fine = true;
  bool failed = true;
  std::int64_t n = 1;
  for (; failed && fine; n += step) {
    const std::string path = fmt::format("{}/{}.db", folder, n);
    fine = survives(path, n, failed);
    if (fine)
      for (const char* end : {"", "-wal", "-shm", "-lock"}) std::filesystem::remove(path + end);
  }
  fmt::print("durable_out_of_memory: {} allocations, every {}\n", n - 1, step);
  if (fine) std::filesystem::remove_all(folder);
  return fine ? 0 : 1;
}
