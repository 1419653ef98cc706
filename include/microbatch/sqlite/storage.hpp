#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "../concepts/lending.hpp"
#include "../concepts/storage.hpp"
#include "transaction.hpp"

namespace microbatch::inline v0_1::sqlite {

/// Settings of a file.
struct FileOptions {
  unsigned mode = 0600;                                 ///< of a file that is created
  Duration busy_timeout = std::chrono::seconds(5);      ///< how long to wait for another writer
  std::size_t checkpoint_bytes = std::size_t{4} << 20;  ///< the log is copied back beyond it
  std::size_t page_size = 32'768;                       ///< of a file that is created
  /// SQLite's name of another file system; empty: the default one. Overwriting a part of a file
  /// must not harm what stands beside it (SQLITE_IOCAP_POWERSAFE_OVERWRITE).
  std::string vfs{};

  void check() const;
};

/// One file, with any number of streams in it. Share it between the streams of one process.
///
/// Threads: any. Errors: StorageError, which names the file.
class Database {
 public:
  /// Opens the file, or makes it.
  explicit Database(const std::string& path, const FileOptions& options = {});
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;
  ~Database();

  /// Runs statements of one's own in one transaction, to make tables for instance. StatementError.
  void execute(const Transaction& transaction, Safety safety = Safety::synced);
  void execute(const std::string& sql, Safety safety = Safety::synced);

  /// What is known of a stream.
  struct StreamInfo {
    std::string name;
    std::string codec;
    std::uint32_t codec_version = 0;
    std::int64_t created_at = 0;  ///< wall clock, nanoseconds since 1970
    std::int64_t read_at = 0;     ///< when a consumer last got the lease; 0: never
    bool keep = false;
    bool leased = false;
    std::string owner{};
    StoredCounts counts{};
  };
  [[nodiscard]] std::vector<StreamInfo> streams();
  [[nodiscard]] const std::string& path() const noexcept;

  class Impl;
  [[nodiscard]] Impl& impl() noexcept { return *impl_; }

 private:
  std::unique_ptr<Impl> impl_;
};

/// A batch that was kept, or waits.
struct BatchInfo {
  std::int64_t number = 0;
  std::uint32_t items = 0;
  std::uint32_t settled = 0;
  std::int64_t written_at = 0;
};

/// A window that was committed on a stream that keeps them.
struct WindowInfo {
  std::int64_t id = 0;  ///< ascending in the order of the commits
  Position first = 0;   ///< its lowest position: replay() from here
  Position last = 0;    ///< its highest
  std::uint64_t items = 0;
  std::int64_t committed_at = 0;  ///< wall clock, nanoseconds since 1970
};

/// A named stream in a file, as durable streams see it: a model of Storage and
/// LendingStorage.
///
/// Its schema is in docs/durable.md. The file is in WAL mode, and one process at a time writes or
/// checkpoints it, by a lock of our own beside it (FILE-lock).
class Storage {
 public:
  using Transaction = sqlite::Transaction;

  struct StreamSettings {
    std::string codec;
    std::uint32_t codec_version = 1;
    bool keep = false;  ///< items stay in the file after they were delivered, for replay()
  };

  /// Gets the stream, or makes it. StorageError where another codec has written it.
  Storage(std::shared_ptr<Database> database, const std::string& name,
          const StreamSettings& settings);
  Storage(const Storage&) = delete;
  Storage& operator=(const Storage&) = delete;
  ~Storage();

  [[nodiscard]] const std::string& name() const noexcept;
  [[nodiscard]] Database& database() noexcept { return *database_; }

  std::int64_t append(std::span<const NewBatch> batches, Safety safety);
  void sync();
  void load(std::int64_t from, std::size_t bytes, std::vector<StoredBatch>& into);
  [[nodiscard]] std::int64_t head();
  std::optional<Lease> acquire(std::string_view owner, Duration time);
  void renew(std::uint64_t token, Duration time);
  void release(std::uint64_t token);
  void settle(std::uint64_t token, std::span<const ItemRun> runs, Transaction& transaction,
              Safety safety);
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

  // As a LendingStorage.
  std::int64_t offer(std::uint64_t token, std::span<const ItemRun> runs);
  [[nodiscard]] LoanState loan(std::int64_t id);
  LoanState take_back(std::int64_t id);
  std::optional<Loan> borrow(std::string_view borrower, Duration time);
  void extend(const Loan& loan, Duration time);
  void settle_loan(const Loan& loan, Transaction& transaction, Safety safety);
  void fail_loan(const Loan& loan, std::string_view error, Failure failure);
  void ask_for_loans() noexcept;
  [[nodiscard]] bool loans_wanted() noexcept;

  /// Batches numbered `from` or higher, kept ones included.
  [[nodiscard]] std::vector<BatchInfo> batches(std::int64_t from, std::size_t n);
  /// Committed windows with ids above `after`, on a stream with `keep`.
  [[nodiscard]] std::vector<WindowInfo> windows(std::int64_t after, std::size_t n);

 private:
  struct State;
  std::shared_ptr<Database> database_;
  std::unique_ptr<State> state_;
};

}  // namespace microbatch::inline v0_1::sqlite
