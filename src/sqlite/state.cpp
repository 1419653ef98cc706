#include "state.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

namespace microbatch::inline v0_1::sqlite {

void Storage::State::corrupt(std::int64_t number, std::string_view what) const {
  throw StorageError(
      fmt::format("{}: corrupt: stream '{}', batch {}: {}", db.path(), name, number, what));
}

std::int64_t Storage::State::head(Connection& c) const {
  Query query = c.query("SELECT head FROM microbatch_streams WHERE id = ?");
  return query.bind(id).step() ? query.number(0) : 1;
}

std::int64_t Storage::State::insert(Connection& c, std::span<const NewBatch> batches) const {
  const std::int64_t first_number = head(c);
  std::int64_t number = first_number;
  for (const NewBatch& batch : batches) insert(c, number++, batch);
  c.query("UPDATE microbatch_streams SET head = ? WHERE id = ?").bind(number).bind(id).run();
  return first_number;
}

std::int64_t Storage::State::open_batches(Connection& c) const {
  std::int64_t open = 0;
  {  // +key: a damaged page has rows with keys that do not belong there
    Query query = c.query(
        "SELECT coalesce(sum(+key >= ?1 AND items > 0), 0) FROM microbatch_batches "
        "WHERE key BETWEEN ?1 AND ?2");
    if (query.bind(key(first(c))).bind(last_key()).step()) open = query.number(0);
  }
  if (!keep) return open;
  Query query = c.query(
      "SELECT p.settled, b.items FROM microbatch_progress p JOIN microbatch_batches b "
      "ON b.key = p.key WHERE p.key BETWEEN ? AND ?");
  query.bind(key(first(c))).bind(last_key());
  while (query.step())
    if (Progress{.settled = std::string(query.bytes(0)), .attempts = {}}.settled_count() >=
        query.number(1))
      --open;
  return open;
}

void Storage::State::check_none_missing(Connection& c) const {
  std::int64_t expected = 0;
  {
    Query query = c.query("SELECT head - 1 - ended FROM microbatch_streams WHERE id = ?");
    if (query.bind(id).step()) expected = query.number(0);
  }
  if (const std::int64_t there = open_batches(c); there != expected)
    throw StorageError(
        fmt::format("{}: corrupt: stream '{}': {} batches are pending by its books, {} are there",
                    db.path(), name, expected, there));
}

void Storage::State::insert(Connection& c, std::int64_t number, const NewBatch& batch) const {
  if (number >= last_number)
    throw StorageError(fmt::format("{}: stream '{}' has used up its {} batch numbers", db.path(),
                                   name, last_number));
  const std::int64_t written = wall_now();
  const std::int64_t arrived = steady_now();
  c.query(
       "INSERT INTO microbatch_batches(key, items, written_at, arrived_at, boot, checksum, body) "
       "VALUES (?, ?, ?, ?, ?, ?, ?)")
      .bind(key(number))
      .bind(batch.items)
      .bind(written)
      .bind(arrived)
      .bind(db.boot())
      .bind(checksum(batch.body, key(number), batch.items, written, arrived))
      .blob(batch.body)
      .run();
}

void Storage::State::check_token(Connection& c, std::uint64_t token) const {
  Query query = c.query("SELECT lease_token, lease_owner FROM microbatch_streams WHERE id = ?");
  if (query.bind(id).step() && query.number(0) == static_cast<std::int64_t>(token)) return;
  throw LeaseLost(
      fmt::format("{}: stream '{}': the lease was lost to {}", db.path(), name, query.bytes(1)));
}

void Storage::State::check_loan(Connection& c, const Loan& loan) const {
  Query query = c.query(
      "SELECT 1 FROM microbatch_loans l JOIN microbatch_streams s ON s.id = l.stream "
      "WHERE l.id = ? AND l.fence = ? AND l.state = ? AND l.token = s.lease_token");
  if (!query.bind(loan.id)
           .bind(static_cast<std::int64_t>(loan.fence))
           .bind(static_cast<std::int64_t>(LoanState::Is::borrowed))
           .step())
    throw LeaseLost(
        fmt::format("{}: stream '{}': what was borrowed was taken back", db.path(), name));
}

std::optional<Progress> Storage::State::progress(Connection& c, std::int64_t number) const {
  Query query =
      c.query("SELECT settled, attempts, checksum FROM microbatch_progress WHERE key = ?");
  if (!query.bind(key(number)).step()) return {};
  return checked(number, query.bytes(0), query.bytes(1), query.number(2));
}

Progress Storage::State::checked(std::int64_t number, std::string_view settled,
                                 std::string_view attempts, std::int64_t sum) const {
  Progress progress{.settled = std::string(settled), .attempts = std::string(attempts)};
  if (progress.sum(key(number)) != sum) corrupt(number, "what was delivered of it");
  return progress;
}

std::optional<StoredBatch> Storage::State::batch_in(const Query& row) const {
  const std::int64_t at = number(row.number(0));
  const std::string_view body = row.bytes(6);
  if (checksum(body, row.number(0), row.number(1), row.number(2), row.number(3)) != row.number(5))
    corrupt(at, "its checksum is wrong");
  if (row.number(1) < 1 || row.number(1) > max_batch_items)
    corrupt(at, fmt::format("it has {} items", row.number(1)));
  StoredBatch batch{.number = at,
                    .items = static_cast<std::uint32_t>(row.number(1)),
                    .written_at = row.number(2)};
  if (row.bytes(4) == db.boot()) batch.arrived_at = TimePoint(Duration(row.number(3)));
  if (!row.is_null(7)) {
    const Progress progress = checked(at, row.bytes(7), row.bytes(8), row.number(9));
    if (progress.settled_count() >= batch.items) return {};
    if (!progress.settled.empty()) {
      batch.settled.resize(batch.items);
      for (std::uint32_t i = 0; i < batch.items; ++i) batch.settled[i] = progress.is_settled(i);
    }
    if (!progress.attempts.empty()) {
      if (progress.attempts.size() != 2 * std::size_t{batch.items})
        corrupt(at, "its attempts are of another batch");
      batch.attempts.resize(batch.items);
      for (std::uint32_t i = 0; i < batch.items; ++i) batch.attempts[i] = progress.attempts_of(i);
    }
  }
  batch.body.assign(body);
  return batch;
}

void Storage::State::store(Connection& c, std::int64_t number, const Progress& progress) const {
  c.query(
       "INSERT INTO microbatch_progress(key, settled, attempts, checksum) VALUES (?, ?, ?, ?) "
       "ON CONFLICT(key) DO UPDATE SET settled = excluded.settled, attempts = excluded.attempts, "
       "checksum = excluded.checksum")
      .bind(key(number))
      .blob(progress.settled)
      .blob(progress.attempts)
      .bind(progress.sum(key(number)))
      .run();
}

void Storage::State::forget_progress(Connection& c, std::int64_t number) const {
  c.query("DELETE FROM microbatch_progress WHERE key = ?").bind(key(number)).run();
}

std::int64_t Storage::State::items(Connection& c, std::int64_t number) const {
  Query query = c.query("SELECT items FROM microbatch_batches WHERE key = ?");
  return query.bind(key(number)).step() ? query.number(0) : -1;
}

void Storage::State::fail_items(Connection& c, std::span<const ItemRun> runs) const {
  for (std::size_t i = 0; i < runs.size();) {
    const std::int64_t number = runs[i].batch;
    const std::int64_t n = items(c, number);
    Progress now = progress(c, number).value_or(Progress{});
    for (; i < runs.size() && runs[i].batch == number; ++i)
      for (std::uint32_t k = runs[i].begin; k < runs[i].end && k < n; ++k)
        now.add_attempt(static_cast<std::uint32_t>(n), k);
    if (n >= 0) store(c, number, now);
  }
}

std::uint64_t Storage::State::end_items(Connection& c, std::span<const ItemRun> runs) const {
  std::uint64_t fresh = 0;
  std::uint64_t ended = 0;
  for (std::size_t i = 0; i < runs.size();) {
    const std::int64_t number = runs[i].batch;
    const std::int64_t n = items(c, number);
    if (n < 0) {  // it was dropped
      for (; i < runs.size() && runs[i].batch == number; ++i) {
      }
      continue;
    }
    const auto count = static_cast<std::uint32_t>(n);
    const auto before = progress(c, number);
    Progress now = before.value_or(Progress{});
    const bool was_open = now.settled_count() < count;
    for (; i < runs.size() && runs[i].batch == number; ++i)
      fresh += now.settle(count, runs[i].begin, std::min(runs[i].end, count));
    const bool is_open = now.settled_count() < count;
    if (was_open && !is_open) ++ended;
    if (is_open || keep) {
      store(c, number, now);
    } else {
      c.query("DELETE FROM microbatch_batches WHERE key = ?").bind(key(number)).run();
      if (before) forget_progress(c, number);
    }
  }
  count(c, "UPDATE microbatch_streams SET ended = ended + ? WHERE id = ?", ended);
  if (keep) advance_first(c);
  return fresh;
}

void Storage::State::advance_first(Connection& c) const {
  std::int64_t first = this->first(c);
  const std::int64_t before = first;
  for (;;) {
    std::int64_t next = -1;
    std::int64_t n = 0;
    {
      Query query = c.query(
          "SELECT key, items FROM microbatch_batches WHERE key BETWEEN ? AND ? ORDER BY key "
          "LIMIT "
          "1");
      if (!query.bind(key(first)).bind(last_key()).step()) break;
      next = number(query.number(0));
      n = query.number(1);
    }
    const auto done = progress(c, next);
    if (!done || done->settled_count() < static_cast<std::uint64_t>(n)) break;
    forget_progress(c, next);
    first = next + 1;
  }
  if (first != before)
    c.query("UPDATE microbatch_streams SET first = ? WHERE id = ?").bind(first).bind(id).run();
}

std::int64_t Storage::State::first(Connection& c) const {
  Query query = c.query("SELECT first FROM microbatch_streams WHERE id = ?");
  return query.bind(id).step() ? query.number(0) : 1;
}

void Storage::State::settle(Connection& c, std::span<const ItemRun> runs,
                            const Transaction& transaction) const {
  for (const auto& statement : transaction.statements()) c.run(statement);
  count(c, "UPDATE microbatch_streams SET delivered = delivered + ? WHERE id = ?",
        end_items(c, runs));
  if (keep && !runs.empty()) keep_window(c, runs);
}

ItemEnd Storage::State::end_of(Connection& c, Position position) const {
  {
    Query query =
        c.query("SELECT error FROM microbatch_dead_letters WHERE stream = ? AND position = ?");
    if (query.bind(id).bind(position).step())
      return {Outcome::dead_lettered, std::string(query.bytes(0))};
  }
  {
    Query query = c.query(
        "SELECT last, why FROM microbatch_drops WHERE stream = ? AND first <= ? "
        "ORDER BY first DESC LIMIT 1");
    if (query.bind(id).bind(batch_of(position)).step() && query.number(0) >= batch_of(position))
      return {Outcome::dropped, std::string(query.bytes(1))};
  }
  {  // see forget_old_drops()
    Query query =
        c.query("SELECT count(*) >= ? AND min(first) > ? FROM microbatch_drops WHERE stream = ?");
    if (query.bind(kept_drops).bind(batch_of(position)).bind(id).step() && query.number(0) != 0)
      return {Outcome::abandoned, "it ended so many drops ago that nobody knows how"};
  }
  return {};
}

void Storage::State::keep_window(Connection& c, std::span<const ItemRun> runs) const {
  Position first = std::numeric_limits<Position>::max();
  Position last = -1;
  std::int64_t n = 0;
  for (const ItemRun& run : runs) {
    first = std::min(first, position_of(run.batch, run.begin));
    last = std::max(last, position_of(run.batch, run.end - 1));
    n += run.end - run.begin;
  }
  c.query(
       "INSERT INTO microbatch_windows(stream, first, last, items, committed_at) "
       "VALUES (?, ?, ?, ?, ?)")
      .bind(id)
      .bind(first)
      .bind(last)
      .bind(n)
      .bind(wall_now())
      .run();
}

void Storage::State::count(Connection& c, const char* sql, std::uint64_t n) const {
  if (n == 0) return;
  c.query(sql).bind(static_cast<std::int64_t>(n)).bind(id).run();
}

}  // namespace microbatch::inline v0_1::sqlite
