// Whatever stands in the rows of a batch, a consumer gets a batch that is whole, or `corrupt`:
// never a crash, never items beyond its end. Half of the rows have the right checksums, so that
// what lies behind those is reached, too.

#include <microbatch/durable/batch_body.hpp>
#include <microbatch/sqlite/storage.hpp>

#include <sqlite3.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "sqlite/progress.hpp"

namespace {

using microbatch::sqlite::Storage;

void require(bool holds) {
  if (!holds) std::abort();
}

/// One stream with one batch, and a stranger's hand on its rows.
struct World {
  World() {
    char name[] = "/tmp/microbatch-fuzz-XXXXXX";
    require(mkdtemp(name) != nullptr);
    const std::string path = std::string(name) + "/a.db";
    store = std::make_unique<Storage>(
        std::make_shared<microbatch::sqlite::Database>(path), "lines",
        Storage::StreamSettings{.codec = "text", .codec_version = 1, .keep = false});
    const microbatch::NewBatch batch{.items = 0, .body = ""};
    require(store->append({&batch, 1}, microbatch::Safety::written) == 1);
    require(sqlite3_open(path.c_str(), &db) == SQLITE_OK);
    require(sqlite3_exec(db, "PRAGMA synchronous = OFF", nullptr, nullptr, nullptr) == SQLITE_OK);
  }
  void put(const char* sql, const std::vector<std::int64_t>& numbers,
           const std::vector<std::string_view>& blobs) const {
    sqlite3_stmt* statement = nullptr;
    require(sqlite3_prepare_v2(db, sql, -1, &statement, nullptr) == SQLITE_OK);
    int at = 1;
    for (const std::int64_t number : numbers) sqlite3_bind_int64(statement, at++, number);
    for (const std::string_view blob : blobs)
      sqlite3_bind_blob64(statement, at++, blob.data() != nullptr ? blob.data() : "", blob.size(),
                          SQLITE_STATIC);
    require(sqlite3_step(statement) == SQLITE_DONE);
    sqlite3_finalize(statement);
  }

  std::unique_ptr<Storage> store;
  sqlite3* db = nullptr;
};

/// Numbers and pieces off the front of the input.
class Input {
 public:
  explicit Input(std::string_view bytes) : bytes_(bytes) {}
  std::int64_t number(std::size_t size) {
    std::int64_t n = 0;
    size = std::min(size, bytes_.size());
    if (size > 0) std::memcpy(&n, bytes_.data(), size);
    bytes_.remove_prefix(size);
    return n;
  }
  std::string_view piece(std::size_t size) {
    const std::string_view front = bytes_.substr(0, size);
    bytes_.remove_prefix(front.size());
    return front;
  }
  std::string_view rest() const { return bytes_; }

 private:
  std::string_view bytes_;
};

}  // namespace

// NOLINTNEXTLINE(readability-identifier-naming): the fuzzer's name for it
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using microbatch::sqlite::checksum;
  static const World world;
  Input input({reinterpret_cast<const char*>(data), size});
  const auto mode = static_cast<unsigned>(input.number(1));
  const std::int64_t items = mode & 1U ? input.number(8) : input.number(1);
  const std::int64_t written = input.number(2);
  const std::int64_t arrived = input.number(2);
  const std::string_view settled = input.piece(static_cast<std::size_t>(input.number(1)));
  const std::string_view attempts = input.piece(static_cast<std::size_t>(input.number(1)));
  const std::string_view body = input.rest();
  const std::int64_t key = (std::int64_t{1} << 40) + 1;
  const std::int64_t sum =
      mode & 2U ? input.number(8) : checksum(body, key, items, written, arrived);
  world.put(
      "UPDATE microbatch_batches SET items = ?, written_at = ?, arrived_at = ?, checksum = ?, "
      "body = ?",
      {items, written, arrived, sum}, {body});
  world.put("DELETE FROM microbatch_progress", {}, {});
  if (mode & 4U)
    world.put("INSERT INTO microbatch_progress(key, checksum, settled, attempts) VALUES (?,?,?,?)",
              {key, mode & 8U ? 0 : checksum(attempts, checksum(settled, key))},
              {settled, attempts});

  std::vector<microbatch::StoredBatch> batches;
  try {
    world.store->load(0, ~std::size_t{0}, batches);
    for (const auto& batch : batches) {
      require(batch.items == items && batch.body == body);
      require(batch.settled.empty() || batch.settled.size() == batch.items);
      require(batch.attempts.empty() || batch.attempts.size() == batch.items);
      const microbatch::detail::BatchBody read(batch.body, batch.items);
      std::size_t bytes = 0;
      for (std::uint32_t i = 0; i < batch.items; ++i) bytes += read[i].size();
      require(bytes <= body.size());
    }
  } catch (const microbatch::StorageError&) {
  }
  try {
    const microbatch::Position all[] = {key, microbatch::position_of(1, 0),
                                        microbatch::position_of(1, 70'000)};
    (void)world.store->ends(all);
    (void)world.store->batches(0, 10);
    (void)world.store->counts();
  } catch (const microbatch::StorageError&) {
  }
  return 0;
}
