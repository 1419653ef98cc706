// The power goes at a random write or sync, and of what was not synced a random part of the sectors
// reaches the disk. Then the file is opened again, and the books are compared. kill -9 shows none
// of this: the page cache survives it.
//
// Allowed: items whose receipt did not say `synced` are gone; windows that were committed come
// again. Forbidden: a file that does not open; a synced item that is gone; survivors that are no
// prefix of what was appended; an item that is both pending and in the results of
// window.transaction(), or twice in them.
//
//   stress_durable_power_cut        200 cuts; MICROBATCH_STRESS=10 makes it 2000

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <microbatch/core/split_mix.hpp>
#include <microbatch/durable/batch_body.hpp>
#include <microbatch/emitters/count_window.hpp>
#include <microbatch/sqlite/durable_stream.hpp>
#include <numeric>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "support/power_cut_vfs.hpp"
#include "support/stress.hpp"

namespace {

using namespace std::chrono_literals;
using Item = std::uint64_t;
using Stream = microbatch::sqlite::DurableStream<Item>;

const microbatch::sqlite::FileOptions on_the_disk{
    .busy_timeout = 200ms, .checkpoint_bytes = 65'536, .page_size = 1024, .vfs = "power_cut"};

struct Life {
  std::uint64_t synced = 0;    // items below it are
  std::uint64_t appended = 0;  // items below it may be there
};

/// Appends and consumes until the power goes. The file goes on from an earlier life's end.
Life live(const std::string& path, std::uint64_t from, microbatch::detail::SplitMix& random) {
  Life life{.synced = from, .appended = from};
  auto& disk = test::PowerCutDisk::instance();
  const bool consumes = random() < 0.7;
  try {
    auto database = std::make_shared<microbatch::sqlite::Database>(path, on_the_disk);
    database->execute("CREATE TABLE IF NOT EXISTS seen(item INTEGER)");
    Stream stream(database, "items");
    disk.cut_after(static_cast<std::int64_t>(random() * 400));
    std::optional<microbatch::DurableConsumer<Item>> consumer;
    if (consumes)
      consumer.emplace(microbatch::streaming(
          stream, microbatch::CountWindow{1 + static_cast<std::size_t>(random() * 20)},
          [](microbatch::sqlite::Window<Item>& window) {
            for (const Item item : window)
              window.transaction().execute("INSERT INTO seen VALUES (?)", item);
          },
          {.on_failure = {.first_delay = 1ms, .max_delay = 1ms}}));
    const auto append = [&](auto safety) {
      // A large group is synced beside the writing of the next one.
      std::vector<Item> items(1 +
                              static_cast<std::size_t>(random() * (random() < 0.2 ? 5000 : 60)));
      std::iota(items.begin(), items.end(), life.appended);
      life.appended += items.size();
      return stream.append_range(items, safety);
    };
    const auto arrived = [](const microbatch::Receipt& receipt) {
      try {
        (void)receipt.get();
        return true;
      } catch (const microbatch::StorageError&) {  // the power is gone
        return false;
      }
    };
    std::vector<std::pair<microbatch::Receipt, std::uint64_t>> under_way;  // and where it ends
    const auto wait_for_all = [&] {
      for (const auto& [receipt, end] : under_way)
        if (arrived(receipt)) life.synced = end;
      under_way.clear();
    };
    while (!disk.is_off()) {
      if (random() < 0.5) {
        auto receipt = append(microbatch::synced);
        under_way.emplace_back(std::move(receipt), life.appended);
        if (random() < 0.5) wait_for_all();
      } else {
        (void)arrived(append(microbatch::written));
      }
    }
    wait_for_all();
    if (consumer) (void)consumer->stop();
  } catch (const microbatch::StorageError&) {  // the power is gone
  }
  disk.cut_now();
  disk.wait_until_closed();
  return life;
}

int check(const std::string& path, const Life& life, std::uint64_t& survivors) {
  int wrong = 0;
  const auto forbidden = [&](const std::string& what) {
    ++wrong;
    fmt::print("  FORBIDDEN: {}\n", what);
  };
  std::vector<Item> found;
  try {
    auto database = std::make_shared<microbatch::sqlite::Database>(path, on_the_disk);
    Stream stream(database, "items");
    std::vector<microbatch::StoredBatch> batches;
    stream.storage().load(0, ~std::size_t{0}, batches);
    for (const auto& batch : batches) {
      const microbatch::detail::BatchBody body(batch.body, batch.items);
      for (std::uint32_t i = 0; i < batch.items; ++i)
        if (batch.settled.empty() || !batch.settled[i])
          found.push_back(microbatch::TrivialCodec<Item>().decode(body[i]));
    }
  } catch (const std::exception& error) {
    forbidden(fmt::format("the file does not open: {}", error.what()));
    return wrong;
  }
  sqlite3* db = nullptr;
  sqlite3_stmt* query = nullptr;
  sqlite3_open_v2(std::filesystem::canonical(path).c_str(), &db, SQLITE_OPEN_READWRITE,
                  "power_cut");
  if (sqlite3_prepare_v2(db, "SELECT item FROM seen", -1, &query, nullptr) == SQLITE_OK)
    while (sqlite3_step(query) == SQLITE_ROW)
      found.push_back(static_cast<Item>(sqlite3_column_int64(query, 0)));
  sqlite3_finalize(query);
  if (sqlite3_prepare_v2(db, "PRAGMA integrity_check", -1, &query, nullptr) == SQLITE_OK &&
      sqlite3_step(query) == SQLITE_ROW) {
    const std::string text = reinterpret_cast<const char*>(sqlite3_column_text(query, 0));
    if (text != "ok") forbidden("integrity_check: " + text);
  }
  sqlite3_finalize(query);
  sqlite3_close(db);

  std::sort(found.begin(), found.end());
  survivors = found.size();
  for (std::size_t i = 0; i < found.size(); ++i)
    if (found[i] != i) {
      forbidden(
          fmt::format("the survivors are no prefix: {} stands where {} should be", found[i], i));
      break;
    }
  if (found.size() < life.synced)
    forbidden(fmt::format("{} items were synced, {} are there", life.synced, found.size()));
  if (found.size() > life.appended) forbidden("items that nobody appended");
  return wrong;
}

}  // namespace

int main() {
  char name[] = "/tmp/microbatch-cut-XXXXXX";
  if (mkdtemp(name) == nullptr) return 2;
  const std::string folder = name;
  const std::string path = folder + "/cut.db";
  const std::uint64_t seed = stress::seed();
  const std::size_t cuts = stress::scaled(200) - 1;
  fmt::print("durable_power_cut: {} cuts, seed {}\n", cuts, seed);
  microbatch::detail::SplitMix random(seed);
  auto& disk = test::PowerCutDisk::instance();

  int wrong = 0;
  std::uint64_t lost = 0;
  std::uint64_t there = 0;
  for (std::size_t cut = 0; cut < cuts && wrong == 0; ++cut) {
    if (cut % 10 == 0) {
      disk.format();
      there = 0;
    }
    const Life life = live(path, there, random);
    const double share = random();
    disk.reboot([&] { return random() < share; });
    wrong += check(path, life, there);
    lost += life.appended - there;
    if (wrong != 0) fmt::print("at cut {}\n", cut);
  }
  std::filesystem::remove_all(folder);
  fmt::print("durable_power_cut: {} items that were not synced are gone\n", lost);
  return wrong == 0 ? 0 : 1;
}
