#pragma once

#include <condition_variable>
#include <cstdint>
#include <exception>
#include <map>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "../concepts/storage.hpp"

namespace microbatch::inline v0_1 {

/// A store in memory: a stream that survives its DurableStream objects, and nothing else. For tests
/// of what is built on durable streams, and the smallest model of Storage.
///
/// Threads: any, all functions. Make it with std::make_shared.
class MemoryStorage {
 public:
  /// Numbers to add to entries of one table, `total(key)`.
  class Transaction {
   public:
    void add(std::string key, std::int64_t n) { additions_.emplace_back(std::move(key), n); }

   private:
    friend class MemoryStorage;
    std::vector<std::pair<std::string, std::int64_t>> additions_;
  };

  explicit MemoryStorage(std::string name = "memory", bool keep = false)
      : name_(std::move(name)), keep_(keep) {}

  [[nodiscard]] std::string name() const { return name_; }

  std::int64_t append(std::span<const NewBatch> batches, Safety);
  void sync() {}
  void load(std::int64_t from, std::size_t bytes, std::vector<StoredBatch>& into);
  [[nodiscard]] std::int64_t head();
  std::optional<Lease> acquire(std::string_view, Duration time);
  void renew(std::uint64_t token, Duration time);
  void release(std::uint64_t token);
  void settle(std::uint64_t token, std::span<const ItemRun> runs, Transaction& transaction, Safety);
  void record_failure(std::uint64_t token, std::span<const ItemRun> runs);
  std::uint32_t mark(std::uint64_t token, std::span<const ItemRun> runs) noexcept;
  void unmark(std::uint64_t token, std::uint32_t mark) noexcept;
  void bury(std::uint64_t token, const StoredDeadLetter& letter);
  void drop(const DropRule& rule, std::int64_t from);
  [[nodiscard]] std::vector<StoredDeadLetter> dead_letters(std::int64_t after, std::size_t n);
  bool put_back(std::int64_t id);
  std::uint64_t replay(Position from);
  [[nodiscard]] StoredCounts counts();
  [[nodiscard]] std::vector<std::optional<ItemEnd>> ends(std::span<const Position> positions);
  [[nodiscard]] std::uint64_t notice(Bell bell);
  void wait(Bell bell, std::uint64_t seen, TimePoint until);
  void wake(Bell bell);

  /// What the committed transactions have added up.
  [[nodiscard]] std::int64_t total(const std::string& key);
  /// Every call throws this from now on; null: it works again.
  void fail_with(std::exception_ptr error);
  /// Somebody else takes the lease.
  void revoke_lease();

 private:
  struct Kept {
    StoredBatch stored{};
    bool ended = false;
  };
  struct Mark {
    std::uint64_t token = 0;
    std::vector<ItemRun> runs{};
  };

  [[nodiscard]] static std::uint64_t open_items(const Kept& batch);
  [[nodiscard]] std::uint64_t pending_bytes() const;
  void check() const;
  void check_token(std::uint64_t token) const;
  void fail(std::span<const ItemRun> runs);
  std::uint64_t end_items(std::span<const ItemRun> runs);
  void changed(Bell bell);

  const std::string name_;
  const bool keep_;
  std::mutex mutex_;
  std::condition_variable noticed_;
  std::map<std::int64_t, Kept> batches_;
  std::map<std::int64_t, std::string> dropped_;  // by batch: why
  std::map<std::uint32_t, Mark> marks_;
  std::vector<StoredDeadLetter> dead_letters_;
  std::map<std::string, std::int64_t> totals_;
  StoredCounts counts_;
  std::exception_ptr failure_;
  std::int64_t head_ = 1;
  std::int64_t next_letter_ = 1;
  std::uint32_t last_mark_ = 0;
  std::uint64_t token_ = 0;
  std::uint64_t notices_[bell_count] = {};
  TimePoint held_until_{};
};

}  // namespace microbatch::inline v0_1
