// A consumer that keeps its state in a table of the file is killed with SIGKILL at random moments,
// round after round, while a producer appends; a watcher compares state and input all the time.
//
// Allowed: a window that was in flight at a kill is computed again.
// Forbidden: at any moment, as another program sees the file, the sum over the table differs from
// the number of items delivered; an acknowledged item that is not counted in the end, or is counted
// twice.
//
//   stress_durable_table_kill       20 rounds; MICROBATCH_STRESS=10 makes it 200

#include <fmt/format.h>
#include <sqlite3.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <microbatch/core/split_mix.hpp>
#include <microbatch/emitters/combine.hpp>
#include <microbatch/emitters/count_window.hpp>
#include <microbatch/emitters/max_age_window.hpp>
#include <microbatch/sqlite/durable_stream.hpp>
#include <microbatch/sqlite/table.hpp>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "support/processes.hpp"
#include "support/stress.hpp"

namespace {

using namespace std::chrono_literals;

constexpr std::uint32_t keys = 17;

/// Outside of the processes that die.
struct Books {
  std::atomic<bool> stop;
  std::atomic<std::uint64_t> begun;   // appends that may have been written
  std::atomic<std::uint64_t> synced;  // those of which that was told
};

Books& books() {
  static void* const memory =
      mmap(nullptr, sizeof(Books), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) std::abort();
  return *static_cast<Books*>(memory);
}

struct Pipeline {
  explicit Pipeline(const std::string& path)
      : file(std::make_shared<microbatch::sqlite::Database>(path)),
        events(file, "events"),
        counts(file, "counts") {}

  microbatch::DurableConsumer<std::uint32_t> consume() {
    return microbatch::streaming(
        events, microbatch::any_of(microbatch::CountWindow{20}, microbatch::MaxAgeWindow{2ms}),
        [this](microbatch::sqlite::Window<std::uint32_t>& window) {
          counts.transaction(window, [&](auto& rows) {
            for (const std::uint32_t key : window) ++rows[key];
          });
        },
        {}, {.lease = 200ms});
  }

  std::shared_ptr<microbatch::sqlite::Database> file;
  microbatch::sqlite::DurableStream<std::uint32_t> events;
  microbatch::sqlite::Table<std::uint32_t, std::uint64_t> counts;
};

/// What another program sees in one snapshot: the sum over the table, and the items delivered.
class Watcher {
 public:
  explicit Watcher(const std::string& path) {
    if (sqlite3_open_v2(path.c_str(), &db_, SQLITE_OPEN_READWRITE, nullptr) != SQLITE_OK ||
        sqlite3_busy_timeout(db_, 5000) != SQLITE_OK ||
        sqlite3_prepare_v2(db_,
                           "SELECT (SELECT coalesce(sum(value), 0) FROM counts), (SELECT delivered "
                           "FROM microbatch_streams WHERE name = 'events')",
                           -1, &query_, nullptr) != SQLITE_OK)
      std::abort();
  }
  Watcher(const Watcher&) = delete;
  Watcher& operator=(const Watcher&) = delete;
  ~Watcher() {
    sqlite3_finalize(query_);
    sqlite3_close(db_);
  }
  [[nodiscard]] std::pair<std::int64_t, std::int64_t> look() {
    if (sqlite3_step(query_) != SQLITE_ROW) return {-1, -2};
    const std::pair seen(sqlite3_column_int64(query_, 0), sqlite3_column_int64(query_, 1));
    sqlite3_reset(query_);
    ++looks_;
    return seen;
  }
  [[nodiscard]] std::uint64_t looks() const noexcept { return looks_; }

 private:
  sqlite3* db_ = nullptr;
  sqlite3_stmt* query_ = nullptr;
  std::uint64_t looks_ = 0;
};

void produce(const std::string& path) {
  Pipeline pipeline(path);
  microbatch::detail::SplitMix random(static_cast<std::uint64_t>(getpid()));
  while (!books().stop) {
    std::vector<std::uint32_t> items(1 + static_cast<std::size_t>(random() * 50));
    for (std::uint32_t& item : items) item = static_cast<std::uint32_t>(random() * keys);
    books().begun += items.size();
    pipeline.events.append_range(items, microbatch::synced).get();
    books().synced += items.size();
  }
}

}  // namespace

int main() {
  char name[] = "/tmp/microbatch-table-XXXXXX";
  if (mkdtemp(name) == nullptr) return 2;
  const std::string folder = name;
  const std::string path = folder + "/state.db";
  const std::uint64_t seed = stress::seed();
  const std::size_t rounds = stress::scaled(20) - 1;
  fmt::print("durable_table_kill: {} rounds, seed {}\n", rounds, seed);
  std::fflush(stdout);
  microbatch::detail::SplitMix random(seed);
  (void)books();
  // Children alone open the file: a process that forks must not have it open.
  int wrong = stress::ended_well(stress::in_child([&] { Pipeline made(path); })) ? 0 : 1;

  std::uint64_t kills = 0;
  for (std::size_t round = 0; round < rounds && wrong == 0; ++round) {
    books().stop = false;
    const pid_t producer = stress::in_child([&] { produce(path); });
    const pid_t consumer = stress::in_child([&] {
      Pipeline pipeline(path);
      auto running = pipeline.consume();
      while (!books().stop) std::this_thread::sleep_for(1ms);
    });
    const pid_t watcher = stress::in_child([&] {
      Watcher look(path);
      while (!books().stop) {
        const auto [counted, delivered] = look.look();
        if (counted != delivered)
          throw std::runtime_error(fmt::format("{} counted, {} delivered, after {} looks", counted,
                                               delivered, look.looks()));
        std::this_thread::sleep_for(1ms);
      }
    });
    std::this_thread::sleep_for(std::chrono::microseconds(static_cast<int>(random() * 150'000)));
    kill(consumer, SIGKILL);
    ++kills;
    const bool kill_producer = random() < 0.3;
    if (kill_producer) kill(producer, SIGKILL);
    books().stop = true;
    (void)stress::ended_well(consumer);
    if (!stress::ended_well(producer) && !kill_producer) ++wrong;
    if (!stress::ended_well(watcher)) ++wrong;
    const bool drained = stress::ended_well(stress::in_child([&] {
      Pipeline pipeline(path);
      auto running = pipeline.consume();
      running.flush();
      std::uint64_t counted = 0;
      for (const auto& [key, n] : pipeline.counts.snapshot()) counted += n;
      const auto stored = pipeline.events.stored();
      if (counted != stored.delivered || stored.pending != 0 || counted < books().synced ||
          counted > books().begun)
        throw std::runtime_error(fmt::format(
            "{} counted, {} delivered, {} pending; {} to {} appended", counted, stored.delivered,
            stored.pending, books().synced.load(), books().begun.load()));
    }));
    if (!drained) ++wrong;
    if (wrong != 0) fmt::print("in round {}\n", round);
  }
  fmt::print("durable_table_kill: {} items, {} kills\n", books().synced.load(), kills);
  if (wrong == 0)
    std::filesystem::remove_all(folder);
  else
    fmt::print("the file is kept: {}\n", folder);
  return wrong == 0 ? 0 : 1;
}
