#pragma once

#include <microbatch/durable/batch_body.hpp>
#include <microbatch/durable/durable_streaming.hpp>
#include <microbatch/durable/memory_storage.hpp>
#include <microbatch/emitters/count_window.hpp>
#include <microbatch/sqlite/durable_stream.hpp>

#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "support/catch.hpp"
#include "support/folder.hpp"

namespace test {

using namespace std::chrono_literals;

/// The stores that the same tests run on. open() is what a new process would do.
struct MemoryWorld {
  using Storage = microbatch::MemoryStorage;

  explicit MemoryWorld(bool keep = false) : store(std::make_shared<Storage>("memory", keep)) {}
  [[nodiscard]] std::shared_ptr<Storage> open() const { return store; }
  static void add(Storage::Transaction& transaction, const std::string& key, std::int64_t n) {
    transaction.add(key, n);
  }
  [[nodiscard]] std::int64_t total(const std::string& key) const { return store->total(key); }

  std::shared_ptr<Storage> store;
};

struct SqliteWorld {
  using Storage = microbatch::sqlite::Storage;

  explicit SqliteWorld(bool k = false) : keep(k) {
    open()->database().execute("CREATE TABLE totals(key TEXT PRIMARY KEY, n INTEGER)");
  }
  [[nodiscard]] std::shared_ptr<Storage> open() const {
    return std::make_shared<Storage>(
        std::make_shared<microbatch::sqlite::Database>(folder.file("test.db")), "items",
        Storage::StreamSettings{.codec = "text", .codec_version = 1, .keep = keep});
  }
  static void add(Storage::Transaction& transaction, const std::string& key, std::int64_t n) {
    transaction.execute(
        "INSERT INTO totals VALUES (?, ?) ON CONFLICT(key) DO UPDATE SET n = n + excluded.n", key,
        n);
  }
  [[nodiscard]] std::int64_t total(const std::string& key) const {
    // A statement that fails unless the number is right needs no way to read.
    for (std::int64_t n = 0; n < 10'000; ++n) {
      microbatch::sqlite::Transaction transaction;
      transaction.execute(
          "SELECT CASE WHEN (SELECT coalesce(sum(n), 0) FROM totals WHERE key = ?) "
          "= ? THEN 1 ELSE json('wrong') END",
          key, n);
      try {
        open()->database().execute(transaction, microbatch::Safety::written);
        return n;
      } catch (const microbatch::StatementError&) {
      }
    }
    return -1;
  }

  /// As a stranger would.
  void sql(const char* text) const;

  Folder folder;
  bool keep;
};

template <class World>
using StreamOf = microbatch::DurableStream<std::string, typename World::Storage>;
template <class World>
using WindowOf = microbatch::DurableWindow<std::string, typename World::Storage>;

using Strings = std::vector<std::string>;

/// One batch, however appends would have been grouped.
template <class S>
void write_batch(S& store, const Strings& items) {
  std::vector<std::uint32_t> ends;
  std::string bytes;
  for (const std::string& item : items) {
    bytes += item;
    ends.push_back(static_cast<std::uint32_t>(bytes.size()));
  }
  std::string body;
  microbatch::detail::BatchBody::write(ends, bytes, body);
  const microbatch::NewBatch batch{.items = static_cast<std::uint32_t>(items.size()), .body = body};
  (void)store.append({&batch, 1}, microbatch::Safety::written);
}

/// What a callback has seen, in order. Threads: any.
class Delivered {
 public:
  template <class W>
  void add(const W& window) {
    std::lock_guard lock(mutex_);
    items_.insert(items_.end(), window.begin(), window.end());
  }
  [[nodiscard]] Strings items() const {
    std::lock_guard lock(mutex_);
    return items_;
  }

 private:
  mutable std::mutex mutex_;
  Strings items_;
};

/// streaming() with a CountWindow, compiled once for each store and not once for each test.
template <class S>
using Callback = std::function<void(microbatch::DurableWindow<std::string, S>&)>;
using Consumer = microbatch::DurableConsumer<std::string>;
Consumer consume(microbatch::DurableStream<std::string, microbatch::MemoryStorage>& stream,
                 std::size_t count, Callback<microbatch::MemoryStorage> callback,
                 microbatch::ConsumerOptions<std::string> options = {},
                 microbatch::DeliveryOptions delivery = {});
Consumer consume(microbatch::DurableStream<std::string, microbatch::sqlite::Storage>& stream,
                 std::size_t count, Callback<microbatch::sqlite::Storage> callback,
                 microbatch::ConsumerOptions<std::string> options = {},
                 microbatch::DeliveryOptions delivery = {});

/// Fast and without chance.
inline microbatch::FailurePolicy quick_retries() {
  return {.first_delay = 1ms, .max_delay = 1ms, .jitter = 0};
}

}  // namespace test
