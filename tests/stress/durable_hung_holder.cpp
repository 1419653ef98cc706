// The holder of a stream's lease is stopped (SIGSTOP) with a window in its callback, and goes on
// only after another process has taken over and delivered everything.
//
// Allowed: the window's callback runs twice, once in each process.
// Forbidden: what the hung holder still commits takes effect; an item takes effect twice or never;
// the hung holder is not told.
//
//   stress_durable_hung_holder      3 rounds; MICROBATCH_STRESS=10 makes it 30

#include <fmt/format.h>
#include <sqlite3.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <memory>
#include <microbatch/emitters/count_window.hpp>
#include <microbatch/sqlite/durable_stream.hpp>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "support/processes.hpp"
#include "support/stress.hpp"

namespace {

using namespace std::chrono_literals;
using Stream = microbatch::sqlite::DurableStream<int>;

constexpr int items = 50;
constexpr int window_size = 10;

void append(const std::string& path) {
  auto file = std::make_shared<microbatch::sqlite::Database>(path);
  file->execute("CREATE TABLE seen(item INTEGER)");
  Stream stream(file, "numbers");
  std::vector<int> numbers(items);
  for (int i = 0; i < items; ++i) numbers[static_cast<std::size_t>(i)] = i;
  stream.append_range(numbers, microbatch::synced).get();
}

/// Ends when everything is delivered; stops in its window of that number on the way.
void consume(const std::string& path, int stop_in) {
  Stream stream(path, "numbers");
  std::atomic<bool> told{false};
  int windows = 0;
  auto consumer =
      microbatch::streaming(stream, microbatch::CountWindow{window_size},
                            [&](microbatch::sqlite::Window<int>& window) {
                              for (const int item : window)
                                window.transaction().execute("INSERT INTO seen VALUES (?)", item);
                              if (++windows == stop_in) raise(SIGSTOP);
                            },
                            {.on_error =
                                 [&](const microbatch::BackgroundError& error) {
                                   try {
                                     std::rethrow_exception(error.exception);
                                   } catch (const microbatch::LeaseLost&) {
                                     told = true;
                                   } catch (...) {
                                   }
                                 }},
                            {.lease = 100ms});
  while (stop_in != 0 && !told) std::this_thread::sleep_for(1ms);
  consumer.flush();
}

int effects(const std::string& path, const char* what) {
  sqlite3* db = nullptr;
  sqlite3_stmt* query = nullptr;
  const std::string sql = fmt::format("SELECT count({}) FROM seen", what);
  int n = -1;
  if (sqlite3_open_v2(path.c_str(), &db, SQLITE_OPEN_READWRITE, nullptr) == SQLITE_OK &&
      sqlite3_prepare_v2(db, sql.c_str(), -1, &query, nullptr) == SQLITE_OK &&
      sqlite3_step(query) == SQLITE_ROW)
    n = sqlite3_column_int(query, 0);
  sqlite3_finalize(query);
  sqlite3_close(db);
  return n;
}

bool round_is_fine(const std::string& path, int stop_in) {
  bool fine = stress::ended_well(stress::in_child([&] { append(path); }));
  const pid_t hung = stress::in_child([&] { consume(path, stop_in); });
  int status = 0;
  waitpid(hung, &status, WUNTRACED);
  fine = WIFSTOPPED(status) && fine;
  fine = stress::ended_well(stress::in_child([&] { consume(path, 0); })) && fine;
  const int before = effects(path, "*");
  kill(hung, SIGCONT);
  fine = stress::ended_well(hung) && fine;
  const int after = effects(path, "*");
  const int distinct = effects(path, "DISTINCT item");
  if (fine && before == items && after == items && distinct == items) return true;
  fmt::print("  FORBIDDEN: {} effects of {} items, {} once the hung holder went on, {} distinct\n",
             before, items, after, distinct);
  return false;
}

}  // namespace

int main() {
  char name[] = "/tmp/microbatch-hung-XXXXXX";
  if (mkdtemp(name) == nullptr) return 2;
  const std::string folder = name;
  const std::size_t rounds = stress::scaled(3) - 1;
  bool fine = true;
  for (std::size_t i = 0; i < rounds && fine; ++i)
    fine = round_is_fine(fmt::format("{}/{}.db", folder, i), 1 + static_cast<int>(i % 5));
  fmt::print("durable_hung_holder: {} rounds\n", rounds);
  if (fine)
    std::filesystem::remove_all(folder);
  else
    fmt::print("the files are kept: {}\n", folder);
  return fine ? 0 : 1;
}
