#pragma once

#include <cstdint>
#include <microbatch/sqlite/storage.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "database.hpp"
#include "progress.hpp"

namespace microbatch::inline v0_1::sqlite {

/// One stream's rows, as seen from inside a transaction on `c`. Threads: as the connection.
struct Storage::State {
  static constexpr int number_bits = 40;
  static constexpr std::int64_t last_number = (std::int64_t{1} << number_bits) - 1;
  static constexpr std::int64_t most_streams = std::int64_t{1} << 20;
  static constexpr std::int64_t kept_drops = 1000;  // rows of microbatch_drops

  State(Database::Impl& database, std::string stream_name)
      : db(database), name(std::move(stream_name)) {}

  Database::Impl& db;
  const std::string name;
  std::int64_t id = 0;
  bool keep = false;

  [[nodiscard]] std::int64_t key(std::int64_t number) const noexcept {
    return id << number_bits | number;
  }
  [[nodiscard]] static std::int64_t number(std::int64_t key) noexcept { return key & last_number; }
  [[nodiscard]] std::int64_t last_key() const noexcept { return key(last_number); }

  [[noreturn]] void corrupt(std::int64_t number, std::string_view what) const;

  /// The number that the next batch will have.
  std::int64_t head(Connection& c) const;
  /// Nothing below it is pending.
  std::int64_t first(Connection& c) const;
  /// -1: there is no such batch.
  std::int64_t items(Connection& c, std::int64_t number) const;
  void check_token(Connection& c, std::uint64_t token) const;
  /// It is this borrower's still, and who offered it holds the lease.
  void check_loan(Connection& c, const Loan& loan) const;

  /// Numbers from the head on; the new head is stored with them, so that a lost row is missed.
  std::int64_t insert(Connection& c, std::span<const NewBatch> batches) const;
  /// The row of load(); nothing for one that has ended and is kept.
  std::optional<StoredBatch> batch_in(const Query& row) const;
  /// Batches that have not ended, by the rows that are there.
  std::int64_t open_batches(Connection& c) const;
  /// By the books: every batch that was ever written is there or has ended.
  void check_none_missing(Connection& c) const;

  std::optional<Progress> progress(Connection& c, std::int64_t number) const;
  void store(Connection& c, std::int64_t number, const Progress& progress) const;
  void forget_progress(Connection& c, std::int64_t number) const;

  /// One more failed attempt of these items.
  void fail_items(Connection& c, std::span<const ItemRun> runs) const;
  /// These items have ended; how many of them had not before.
  std::uint64_t end_items(Connection& c, std::span<const ItemRun> runs) const;
  /// They are delivered, and the transaction's statements are run.
  void settle(Connection& c, std::span<const ItemRun> runs, const Transaction& transaction) const;
  /// How an item ended that is not pending any more.
  ItemEnd end_of(Connection& c, Position position) const;
  /// sql: adds its first argument to a count of the stream that is its second.
  void count(Connection& c, const char* sql, std::uint64_t n) const;

 private:
  void insert(Connection& c, std::int64_t number, const NewBatch& batch) const;
  Progress checked(std::int64_t number, std::string_view settled, std::string_view attempts,
                   std::int64_t sum) const;
  /// On a stream that keeps them: that these items were committed together.
  void keep_window(Connection& c, std::span<const ItemRun> runs) const;
  /// Kept batches in front that have ended are no longer looked at.
  void advance_first(Connection& c) const;
};

}  // namespace microbatch::inline v0_1::sqlite
