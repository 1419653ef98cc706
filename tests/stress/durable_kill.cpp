// Producers, consumers and their assistants on one file are killed with SIGKILL at random moments,
// round after round; after each round the file is drained and the books are compared.
//
// The books are outside of the processes that die: what a producer was told is synced, and what a
// callback has seen, stand in a shared mapping; what took effect stands in the file itself.
//
// Allowed: an item that was never acknowledged is delivered, or is not; without a transaction, the
// items of a window that was in flight at a kill are seen again.
// Forbidden: an acknowledged item that is not delivered; an item that takes effect twice; an item
// that nobody appended; more repeats than the windows in flight at the kills had items.
//
//   stress_durable_kill             30 rounds; MICROBATCH_STRESS=10 makes it 300

#include <fcntl.h>
#include <fmt/format.h>
#include <sqlite3.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <microbatch/core/split_mix.hpp>
#include <microbatch/durable/assistant.hpp>
#include <microbatch/emitters/combine.hpp>
#include <microbatch/emitters/count_window.hpp>
#include <microbatch/emitters/max_age_window.hpp>
#include <microbatch/sqlite/durable_stream.hpp>
#include <string>
#include <thread>
#include <vector>

#include "support/processes.hpp"
#include "support/stress.hpp"

namespace {

using namespace std::chrono_literals;
using microbatch::synced;

constexpr std::uint32_t producers = 2;
constexpr std::uint64_t most_items = 4'000'000;  // per producer
constexpr std::size_t window = 20;

struct Item {
  std::uint32_t producer;
  std::uint32_t check;
  std::uint64_t sequence;

  static Item make(std::uint32_t p, std::uint64_t n) {
    return {p, static_cast<std::uint32_t>(n * 2654435761U + p), n};
  }
  [[nodiscard]] bool intact() const { return check == make(producer, sequence).check; }
};

/// Outside of the processes that die.
struct Books {
  std::atomic<bool> stop;
  struct Of {
    std::atomic<std::uint64_t> begun;                 // sequences below it may have been appended
    std::atomic<std::uint8_t> synced[2][most_items];  // by stream (once, plain): it was told so
  } of[producers];
  std::atomic<std::uint64_t> broken;
  std::atomic<std::uint64_t> assisted;                    // windows that an assistant has begun
  std::atomic<std::uint8_t> seen[producers][most_items];  // by the callback of `plain`
};

Books* map_books(const std::string& path) {
  const int file = open(path.c_str(), O_RDWR | O_CREAT, 0600);
  if (file < 0 || ftruncate(file, sizeof(Books)) != 0) std::abort();
  void* memory = mmap(nullptr, sizeof(Books), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  if (memory == MAP_FAILED) std::abort();
  close(file);
  return static_cast<Books*>(memory);
}

using Stream = microbatch::sqlite::DurableStream<Item>;

struct Streams {
  explicit Streams(const std::string& folder)
      : database(std::make_shared<microbatch::sqlite::Database>(folder + "/kill.db")),
        once(database, "once"),
        plain(database, "plain") {}
  std::shared_ptr<microbatch::sqlite::Database> database;
  Stream once;
  Stream plain;
};

int produce(const std::string& folder, std::uint32_t p) {
  Books& books = *map_books(folder + "/books");
  Streams streams(folder);
  microbatch::detail::SplitMix random(static_cast<std::uint64_t>(getpid()));
  std::vector<Item> items;
  while (!books.stop) {
    // What an earlier life began and was not told about is not appended again.
    const std::uint64_t from = books.of[p].begun;
    const std::uint64_t n = 1 + static_cast<std::uint64_t>(random() * 50);
    if (from + n > most_items) return 0;
    books.of[p].begun = from + n;
    items.clear();
    for (std::uint64_t i = from; i < from + n; ++i) items.push_back(Item::make(p, i));
    auto a = streams.once.append_range(items, synced);
    auto b = streams.plain.append_range(items, synced);
    a.get();
    for (std::uint64_t i = from; i < from + n; ++i) books.of[p].synced[0][i] = 1;
    b.get();
    for (std::uint64_t i = from; i < from + n; ++i) books.of[p].synced[1][i] = 1;
  }
  return 0;
}

void take_effect(Books& books, microbatch::sqlite::Window<Item>& items) {
  for (const Item& item : items) {
    if (!item.intact()) ++books.broken;
    items.transaction().execute("INSERT INTO seen VALUES (?, ?)", item.producer, item.sequence);
  }
}

/// Handles windows of `once` for the consumer.
int assist(const std::string& folder) {
  Books& books = *map_books(folder + "/books");
  Streams streams(folder);
  auto assistant = microbatch::assist(streams.once,
                                      [&](microbatch::sqlite::Window<Item>& items) {
                                        take_effect(books, items);
                                        ++books.assisted;
                                      },
                                      {.time = 200ms});
  while (!books.stop) std::this_thread::sleep_for(1ms);
  return 0;
}

int consume(const std::string& folder, bool drain) {
  Books& books = *map_books(folder + "/books");
  Streams streams(folder);
  const auto emitter =
      microbatch::any_of(microbatch::CountWindow{window}, microbatch::MaxAgeWindow{2ms});
  const microbatch::DeliveryOptions delivery{.lease = 200ms};
  microbatch::ThreadPool pool(2);
  microbatch::DeliveryOptions lending = delivery;
  lending.lend = true;
  auto once = microbatch::streaming(
      streams.once, emitter,
      [&](microbatch::sqlite::Window<Item>& items) { take_effect(books, items); },
      {.executor = pool, .order = microbatch::Order::unordered}, lending);
  auto plain = microbatch::streaming(
      streams.plain, emitter,
      [&](std::span<const Item> items) {
        for (const Item& item : items) {
          if (!item.intact() || item.sequence >= most_items)
            ++books.broken;
          else
            ++books.seen[item.producer][item.sequence];
        }
      },
      {}, delivery);
  if (drain) {
    once.flush();
    plain.flush();
    return streams.once.stored().pending + streams.plain.stored().pending == 0 ? 0 : 1;
  }
  while (!books.stop) std::this_thread::sleep_for(1ms);
  return 0;
}

pid_t start(const std::string& folder, const std::string& role) {
  const pid_t child = fork();
  if (child == 0) {
    execl("/proc/self/exe", "durable_kill", folder.c_str(), role.c_str(), nullptr);
    _exit(127);
  }
  return child;
}

/// What took effect, as the file has it. Each round reads what the round before has not.
class Effects {
 public:
  explicit Effects(std::string file) : file_(std::move(file)) {
    for (auto& of : count_) of.resize(most_items);
  }
  /// False: the file holds what nobody appended.
  bool read() {
    sqlite3* db = nullptr;
    sqlite3_stmt* query = nullptr;
    bool good = sqlite3_open_v2(file_.c_str(), &db, SQLITE_OPEN_READWRITE, nullptr) == SQLITE_OK &&
                sqlite3_prepare_v2(db, "SELECT rowid, producer, sequence FROM seen WHERE rowid > ?",
                                   -1, &query, nullptr) == SQLITE_OK;
    sqlite3_bind_int64(query, 1, last_);
    while (good && sqlite3_step(query) == SQLITE_ROW) {
      last_ = sqlite3_column_int64(query, 0);
      const auto producer = static_cast<std::uint64_t>(sqlite3_column_int64(query, 1));
      const auto sequence = static_cast<std::uint64_t>(sqlite3_column_int64(query, 2));
      good = producer < producers && sequence < most_items;
      if (good) ++count_[producer][sequence];
    }
    sqlite3_finalize(query);
    sqlite3_close(db);
    return good;
  }
  [[nodiscard]] unsigned count(std::uint32_t p, std::uint64_t i) const { return count_[p][i]; }

 private:
  const std::string file_;
  std::int64_t last_ = 0;
  std::array<std::vector<std::uint8_t>, producers> count_;
};

/// How often the callback of `plain` has seen an item again.
std::uint64_t repeats(const Books& books) {
  std::uint64_t n = 0;
  for (std::uint32_t p = 0; p < producers; ++p)
    for (std::uint64_t i = 0; i < books.of[p].begun; ++i)
      if (books.seen[p][i] > 1) n += books.seen[p][i] - 1U;
  return n;
}

int check(Effects& effects, const Books& books, std::uint64_t consumer_kills) {
  int wrong = 0;
  const auto require = [&](bool good, const std::string& what) {
    if (good) return;
    ++wrong;
    fmt::print("  FORBIDDEN: {}\n", what);
  };
  require(effects.read(), "invented items, or a file that cannot be read");
  for (std::uint32_t p = 0; p < producers; ++p) {
    std::uint64_t lost = 0, twice = 0, invented = 0, unseen = 0;
    const auto& of = books.of[p];
    for (std::uint64_t i = 0; i < of.begun; ++i) {
      if (of.synced[0][i] != 0 && effects.count(p, i) == 0) ++lost;
      if (effects.count(p, i) > 1) ++twice;
      if (of.synced[1][i] != 0 && books.seen[p][i] == 0) ++unseen;
    }
    for (std::uint64_t i = of.begun; i < of.begun + 1000 && i < most_items; ++i)
      if (effects.count(p, i) != 0 || books.seen[p][i] != 0) ++invented;
    require(lost == 0, fmt::format("producer {}: {} synced items without effect", p, lost));
    require(twice == 0, fmt::format("producer {}: {} items took effect twice", p, twice));
    require(unseen == 0, fmt::format("producer {}: {} synced items not seen", p, unseen));
    require(invented == 0, fmt::format("producer {}: {} items invented", p, invented));
  }
  require(books.broken == 0, "corrupted items");
  require(repeats(books) <= consumer_kills * window,
          fmt::format("{} repeats after {} kills of the consumer with windows of {}",
                      repeats(books), consumer_kills, window));
  return wrong;
}

int supervise() {
  char name[] = "/tmp/microbatch-kill-XXXXXX";
  if (mkdtemp(name) == nullptr) return 2;
  const std::string folder = name;
  const std::uint64_t seed = stress::seed();
  const std::size_t rounds = stress::scaled(30) - 1;
  fmt::print("durable_kill: {} rounds, seed {}\n", rounds, seed);
  microbatch::detail::SplitMix random(seed);
  Books& books = *map_books(folder + "/books");
  Streams(folder).database->execute("CREATE TABLE seen(producer INTEGER, sequence INTEGER)");

  Effects effects(folder + "/kill.db");
  int wrong = 0;
  std::uint64_t consumer_kills = 0;
  for (std::size_t round = 0; round < rounds && wrong == 0; ++round) {
    books.stop = false;
    std::vector<pid_t> children;
    for (std::uint32_t p = 0; p < producers; ++p)
      children.push_back(start(folder, std::to_string(p)));
    children.push_back(start(folder, "consume"));
    children.push_back(start(folder, "assist"));
    std::this_thread::sleep_for(std::chrono::microseconds(static_cast<int>(random() * 150'000)));
    const auto victims = 1 + static_cast<unsigned>(random() * 15);  // a set of the four
    for (std::size_t i = 0; i < children.size(); ++i)
      if ((victims >> i & 1U) != 0) {
        kill(children[i], SIGKILL);
        if (i == producers) ++consumer_kills;
      }
    books.stop = true;
    for (std::size_t i = 0; i < children.size(); ++i) {
      const bool well = stress::ended_well(children[i]);
      if (!well && (victims >> i & 1U) == 0) {
        fmt::print("  FORBIDDEN: a process that nobody killed has failed\n");
        ++wrong;
      }
    }
    if (!stress::ended_well(start(folder, "drain"))) {
      fmt::print("  FORBIDDEN: the file cannot be drained\n");
      ++wrong;
    }
    wrong += check(effects, books, consumer_kills);
    if (wrong != 0) fmt::print("in round {}\n", round);
  }
  fmt::print(
      "durable_kill: {} and {} items appended, {} seen again by {} kills of a consumer, {} windows "
      "lent\n",
      books.of[0].begun.load(), books.of[1].begun.load(), repeats(books), consumer_kills,
      books.assisted.load());
  if (wrong == 0)
    std::filesystem::remove_all(folder);
  else
    fmt::print("the file is kept: {}\n", folder);
  return wrong == 0 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) return supervise();
  const std::string role = argv[2];
  if (role == "consume") return consume(argv[1], false);
  if (role == "assist") return assist(argv[1]);
  if (role == "drain") return consume(argv[1], true);
  return produce(argv[1], static_cast<std::uint32_t>(std::stoul(role)));
}
