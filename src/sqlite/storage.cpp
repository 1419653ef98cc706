#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <chrono>
#include <cstring>
#include <limits>
#include <microbatch/durable/checksum.hpp>
#include <microbatch/sqlite/storage.hpp>
#include <utility>

#include "database.hpp"

namespace microbatch::sqlite {

namespace {

constexpr int number_bits = 40;
constexpr std::int64_t last_number = (std::int64_t{1} << number_bits) - 1;
constexpr std::int64_t most_streams = std::int64_t{1} << 20;

std::int64_t wall_now() {
  return std::chrono::duration_cast<Duration>(std::chrono::system_clock::now().time_since_epoch())
      .count();
}
std::int64_t steady_now() { return steady_clock().now().time_since_epoch().count(); }

template <class... N>
std::int64_t checksum(std::string_view bytes, N... numbers) {
  const std::array<std::int64_t, sizeof...(N)> all{static_cast<std::int64_t>(numbers)...};
  const std::string_view head(reinterpret_cast<const char*>(all.data()), sizeof all);
  return std::bit_cast<std::int64_t>(
      microbatch::detail::Checksum::of(bytes, microbatch::detail::Checksum::of(head)));
}

/// What has become of a batch's items: a row of microbatch_progress.
struct Progress {
  std::string settled;   // a bit per item; empty: none
  std::string attempts;  // two bytes per item; empty: none

  [[nodiscard]] bool is_settled(std::uint32_t i) const noexcept {
    return i / 8 < settled.size() &&
           (static_cast<unsigned char>(settled[i / 8]) >> (i % 8) & 1) != 0;
  }
  /// How many were not before.
  std::uint32_t settle(std::uint32_t items, std::uint32_t begin, std::uint32_t end) {
    settled.resize((items + 7) / 8);
    std::uint32_t fresh = 0;
    for (std::uint32_t i = begin; i < end; ++i) {
      fresh += is_settled(i) ? 0U : 1U;
      settled[i / 8] = static_cast<char>(settled[i / 8] | 1 << (i % 8));
    }
    return fresh;
  }
  [[nodiscard]] std::uint32_t settled_count() const noexcept {
    std::uint32_t n = 0;
    for (const char byte : settled)
      n += static_cast<std::uint32_t>(std::popcount(static_cast<unsigned char>(byte)));
    return n;
  }
  [[nodiscard]] std::uint16_t attempts_of(std::uint32_t i) const noexcept {
    std::uint16_t n;
    std::memcpy(&n, attempts.data() + 2 * std::size_t{i}, 2);
    return n;
  }
  void add_attempt(std::uint32_t items, std::uint32_t i) {
    attempts.resize(2 * std::size_t{items});
    const std::uint16_t n = attempts_of(i);
    const std::uint16_t more = n == UINT16_MAX ? n : static_cast<std::uint16_t>(n + 1);
    std::memcpy(attempts.data() + 2 * std::size_t{i}, &more, 2);
  }
  [[nodiscard]] std::int64_t sum(std::int64_t key) const {
    return checksum(attempts, checksum(settled, key));
  }
};

}  // namespace

struct Storage::State {
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

  [[noreturn]] void corrupt(std::int64_t number, std::string_view what) const {
    throw StorageError(
        fmt::format("{}: corrupt: stream '{}', batch {}: {}", db.path(), name, number, what));
  }

  std::int64_t head(Connection& c) const {
    Query query = c.query("SELECT head FROM microbatch_streams WHERE id = ?");
    return query.bind(id).step() ? query.number(0) : 1;
  }
  /// Numbers from the head on; the new head is stored with them, so that a lost row is missed.
  std::int64_t insert(Connection& c, std::span<const NewBatch> batches) const {
    const std::int64_t first_number = head(c);
    std::int64_t number = first_number;
    for (const NewBatch& batch : batches) insert(c, number++, batch);
    c.query("UPDATE microbatch_streams SET head = ? WHERE id = ?").bind(number).bind(id).run();
    return first_number;
  }

  /// Batches that have not ended, by the rows that are there.
  std::int64_t open_batches(Connection& c) const {
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
  /// By the books: every batch that was ever written is there or has ended.
  void check_none_missing(Connection& c) const {
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

  void insert(Connection& c, std::int64_t number, const NewBatch& batch) const {
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

  void check_token(Connection& c, std::uint64_t token) const {
    Query query = c.query("SELECT lease_token, lease_owner FROM microbatch_streams WHERE id = ?");
    if (query.bind(id).step() && query.number(0) == static_cast<std::int64_t>(token)) return;
    throw LeaseLost(
        fmt::format("{}: stream '{}': the lease was lost to {}", db.path(), name, query.bytes(1)));
  }

  std::optional<Progress> progress(Connection& c, std::int64_t number) const {
    Query query =
        c.query("SELECT settled, attempts, checksum FROM microbatch_progress WHERE key = ?");
    if (!query.bind(key(number)).step()) return {};
    return checked(number, query.bytes(0), query.bytes(1), query.number(2));
  }
  Progress checked(std::int64_t number, std::string_view settled, std::string_view attempts,
                   std::int64_t sum) const {
    Progress progress{.settled = std::string(settled), .attempts = std::string(attempts)};
    if (progress.sum(key(number)) != sum) corrupt(number, "what was delivered of it");
    return progress;
  }
  /// The row of load(); nothing for one that has ended and is kept.
  std::optional<StoredBatch> batch_in(const Query& row) const {
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
  void store(Connection& c, std::int64_t number, const Progress& progress) const {
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
  void forget_progress(Connection& c, std::int64_t number) const {
    c.query("DELETE FROM microbatch_progress WHERE key = ?").bind(key(number)).run();
  }
  /// -1: there is no such batch.
  std::int64_t items(Connection& c, std::int64_t number) const {
    Query query = c.query("SELECT items FROM microbatch_batches WHERE key = ?");
    return query.bind(key(number)).step() ? query.number(0) : -1;
  }

  /// These items have ended; how many of them had not before.
  std::uint64_t end_items(Connection& c, std::span<const ItemRun> runs) const {
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

  /// Kept batches in front that have ended are no longer looked at.
  void advance_first(Connection& c) const {
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
  std::int64_t first(Connection& c) const {
    Query query = c.query("SELECT first FROM microbatch_streams WHERE id = ?");
    return query.bind(id).step() ? query.number(0) : 1;
  }

  void count(Connection& c, const char* sql, std::uint64_t n) const {
    if (n == 0) return;
    c.query(sql).bind(static_cast<std::int64_t>(n)).bind(id).run();
  }
};

Storage::Storage(std::shared_ptr<Database> database, const std::string& name,
                 const StreamSettings& settings)
    : database_(std::move(database)) {
  if (!database_) throw ConfigError("sqlite::Storage: the database must not be null");
  constexpr std::size_t longest = 1000;
  if (name.empty() || name.size() > longest)
    throw ConfigError(fmt::format("a durable stream's name must be from 1 to {} bytes long, got {}",
                                  longest, name.size()));
  if (name.find('\0') != std::string::npos)
    throw ConfigError("a durable stream's name must not hold a null byte");
  state_ = std::make_unique<State>(database_->impl(), name);
  State& state = *state_;
  const auto look = [&](Connection& c) {
    Query query =
        c.query("SELECT id, codec, codec_version, keep FROM microbatch_streams WHERE name = ?");
    if (!query.bind(std::string_view(name)).step()) return false;
    if (query.bytes(1) != settings.codec ||
        query.number(2) != static_cast<std::int64_t>(settings.codec_version))
      throw StorageError(fmt::format(
          "{}: stream '{}' was written with the codec '{}' version {}; this program has '{}' "
          "version {}",
          state.db.path(), name, query.bytes(1), query.number(2), settings.codec,
          settings.codec_version));
    if ((query.number(3) != 0) != settings.keep)
      throw StorageError(fmt::format("{}: stream '{}' was made with keep = {}; this program has {}",
                                     state.db.path(), name, query.number(3) != 0, settings.keep));
    state.id = query.number(0);
    return true;
  };
  state.keep = settings.keep;
  if (state.db.read(look)) return;
  state.db.write(Safety::synced, [&](Connection& c) {
    if (look(c)) return;  // another process was faster
    c.query(
         "INSERT INTO microbatch_streams(name, codec, codec_version, keep, created_at) "
         "VALUES (?, ?, ?, ?, ?)")
        .bind(std::string_view(name))
        .bind(std::string_view(settings.codec))
        .bind(settings.codec_version)
        .bind(settings.keep ? 1 : 0)
        .bind(wall_now())
        .run();
    if (!look(c) || state.id > most_streams)
      throw StorageError(fmt::format("{}: more than {} streams", state.db.path(), most_streams));
  });
}
Storage::~Storage() = default;

const std::string& Storage::name() const noexcept { return state_->name; }

std::int64_t Storage::append(std::span<const NewBatch> batches, Safety safety) {
  const std::int64_t first =
      state_->db.write(safety, [&](Connection& c) { return state_->insert(c, batches); });
  wake();
  return first;
}

void Storage::load(std::int64_t from, std::size_t bytes, std::vector<StoredBatch>& into) {
  State& state = *state_;
  const std::size_t before = into.size();
  state.db.read([&](Connection& c) {
    Query query = c.query(
        "SELECT b.key, b.items, b.written_at, b.arrived_at, b.boot, b.checksum, b.body, "
        "p.settled, p.attempts, p.checksum FROM microbatch_batches b "
        "LEFT JOIN microbatch_progress p ON p.key = b.key "
        "WHERE b.key BETWEEN ? AND ? ORDER BY b.key");
    query.bind(state.key(std::max<std::int64_t>(from, 0))).bind(state.last_key());
    try {
      std::size_t taken = 0;
      while (taken < bytes && query.step()) {
        std::optional<StoredBatch> batch = state.batch_in(query);
        if (!batch) continue;
        taken += std::max<std::size_t>(batch->body.size(), 1);
        into.push_back(std::move(*batch));
      }
    } catch (const StorageError&) {  // what stands before the damage is served
      if (into.size() == before) throw;
    }
    if (into.size() > before) return;
    query.reset();
    c.execute("BEGIN");  // one snapshot for both sides of the books
    try {
      state.check_none_missing(c);
    } catch (...) {
      c.execute("COMMIT");
      throw;
    }
    c.execute("COMMIT");
  });
}

std::int64_t Storage::head() {
  return state_->db.read([&](Connection& c) { return state_->head(c); });
}

std::optional<Lease> Storage::acquire(std::string_view owner, Duration time) {
  State& state = *state_;
  const auto is_free = [&](Connection& c) {
    Query query = c.query("SELECT lease_until, lease_boot FROM microbatch_streams WHERE id = ?");
    return query.bind(state.id).step() &&
           (query.number(0) <= steady_now() || query.bytes(1) != state.db.boot());
  };
  if (!state.db.read(is_free)) return {};
  return state.db.write(Safety::written, [&](Connection& c) -> std::optional<Lease> {
    if (!is_free(c)) return {};
    c.query(
         "UPDATE microbatch_streams SET lease_token = lease_token + 1, lease_owner = ?, "
         "lease_until = ?, lease_boot = ?, read_at = ? WHERE id = ?")
        .bind(owner)
        .bind(steady_now() + time.count())
        .bind(state.db.boot())
        .bind(wall_now())
        .bind(state.id)
        .run();
    Query query = c.query("SELECT lease_token FROM microbatch_streams WHERE id = ?");
    query.bind(state.id).step();
    return Lease{.token = static_cast<std::uint64_t>(query.number(0)), .first = state.first(c)};
  });
}

void Storage::renew(std::uint64_t token, Duration time) {
  state_->db.write(Safety::written, [&](Connection& c) {
    state_->check_token(c, token);
    c.query("UPDATE microbatch_streams SET lease_until = ? WHERE id = ?")
        .bind(steady_now() + time.count())
        .bind(state_->id)
        .run();
  });
}

void Storage::release(std::uint64_t token) {
  state_->db.write(Safety::written, [&](Connection& c) {
    c.query("UPDATE microbatch_streams SET lease_until = 0 WHERE id = ? AND lease_token = ?")
        .bind(state_->id)
        .bind(static_cast<std::int64_t>(token))
        .run();
  });
}

void Storage::settle(std::uint64_t token, std::span<const ItemRun> runs, Transaction& transaction,
                     Safety safety) {
  state_->db.write(safety, [&](Connection& c) {
    state_->check_token(c, token);
    for (const auto& statement : transaction.statements()) c.run(statement);
    state_->count(c, "UPDATE microbatch_streams SET delivered = delivered + ? WHERE id = ?",
                  state_->end_items(c, runs));
  });
}

void Storage::record_failure(std::uint64_t token, std::span<const ItemRun> runs) {
  state_->db.write(Safety::written, [&](Connection& c) {
    state_->check_token(c, token);
    for (std::size_t i = 0; i < runs.size();) {
      const std::int64_t number = runs[i].batch;
      const std::int64_t items = state_->items(c, number);
      Progress now = state_->progress(c, number).value_or(Progress{});
      for (; i < runs.size() && runs[i].batch == number; ++i)
        for (std::uint32_t k = runs[i].begin; k < runs[i].end && k < items; ++k)
          now.add_attempt(static_cast<std::uint32_t>(items), k);
      if (items >= 0) state_->store(c, number, now);
    }
  });
}

void Storage::bury(std::uint64_t token, const StoredDeadLetter& letter) {
  const std::uint32_t index = index_of(letter.position);
  const ItemRun run{.batch = batch_of(letter.position), .begin = index, .end = index + 1};
  state_->db.write(Safety::written, [&](Connection& c) {
    state_->check_token(c, token);
    const std::int64_t now = wall_now();
    c.query(
         "INSERT INTO microbatch_dead_letters(stream, position, item, error, attempts, died_at, "
         "checksum) VALUES (?, ?, ?, ?, ?, ?, ?)")
        .bind(state_->id)
        .bind(letter.position)
        .blob(letter.item)
        .bind(std::string_view(letter.error))
        .bind(letter.attempts)
        .bind(now)
        .bind(checksum(letter.item, letter.position, now))
        .run();
    state_->count(c, "UPDATE microbatch_streams SET dead_lettered = dead_lettered + ? WHERE id = ?",
                  state_->end_items(c, {&run, 1}));
  });
}

void Storage::drop(const DropRule& rule, std::int64_t from) {
  State& state = *state_;
  struct Waiting {
    std::int64_t number;
    std::int64_t items;
    std::int64_t written_at;
    std::int64_t bytes;
  };
  std::vector<Waiting> waiting;
  std::uint64_t bytes = 0;
  state.db.read([&](Connection& c) {
    Query query = c.query(
        "SELECT key, items, written_at, length(body) FROM microbatch_batches "
        "WHERE key BETWEEN ? AND ? ORDER BY key");
    query.bind(state.key(state.first(c))).bind(state.last_key());
    while (query.step()) {
      const std::int64_t number = State::number(query.number(0));
      bytes += static_cast<std::uint64_t>(query.number(3));
      if (number >= from)
        waiting.push_back({number, query.number(1), query.number(2), query.number(3)});
    }
  });
  std::vector<std::pair<Waiting, bool>> doomed;
  const std::int64_t now = wall_now();
  for (const Waiting& batch : waiting) {
    const bool old =
        rule.older_than != Duration::max() && now - batch.written_at >= rule.older_than.count();
    if (!old && bytes <= rule.max_bytes) break;
    bytes -= static_cast<std::uint64_t>(batch.bytes);
    doomed.emplace_back(batch, old);
  }
  if (doomed.empty()) return;
  state.db.write(Safety::written, [&](Connection& c) {
    std::uint64_t expired = 0;
    std::uint64_t evicted = 0;
    std::uint64_t dropped = 0;
    for (const auto& [batch, old] : doomed) {
      const std::int64_t items = state.items(c, batch.number);
      if (items < 0) continue;
      ++dropped;
      const auto progress = state.progress(c, batch.number);
      (old ? expired : evicted) +=
          static_cast<std::uint64_t>(items) - (progress ? progress->settled_count() : 0U);
      c.query("DELETE FROM microbatch_batches WHERE key = ?").bind(state.key(batch.number)).run();
      if (progress) state.forget_progress(c, batch.number);
    }
    state.count(c, "UPDATE microbatch_streams SET ended = ended + ? WHERE id = ?", dropped);
    state.count(c, "UPDATE microbatch_streams SET expired = expired + ? WHERE id = ?", expired);
    state.count(c, "UPDATE microbatch_streams SET evicted = evicted + ? WHERE id = ?", evicted);
  });
}

std::vector<StoredDeadLetter> Storage::dead_letters(std::int64_t after, std::size_t n) {
  return state_->db.read([&](Connection& c) {
    std::vector<StoredDeadLetter> found;
    Query query = c.query(
        "SELECT id, position, item, error, attempts, died_at, checksum FROM "
        "microbatch_dead_letters "
        "WHERE stream = ? AND id > ? ORDER BY id LIMIT ?");
    query.bind(state_->id)
        .bind(after)
        .bind(static_cast<std::int64_t>(
            std::min<std::size_t>(n, std::numeric_limits<std::int32_t>::max())));
    while (query.step()) {
      if (checksum(query.bytes(2), query.number(1), query.number(5)) != query.number(6))
        throw StorageError(fmt::format("{}: corrupt: stream '{}', dead letter {}",
                                       state_->db.path(), state_->name, query.number(0)));
      found.push_back({.id = query.number(0),
                       .position = query.number(1),
                       .item = std::string(query.bytes(2)),
                       .error = std::string(query.bytes(3)),
                       .attempts = static_cast<std::uint32_t>(query.number(4)),
                       .died_at = query.number(5)});
    }
    return found;
  });
}

bool Storage::put_back(std::int64_t id) {
  const bool there = state_->db.write(Safety::synced, [&](Connection& c) {
    std::string body;
    {
      Query query = c.query("SELECT item FROM microbatch_dead_letters WHERE id = ? AND stream = ?");
      if (!query.bind(id).bind(state_->id).step()) return false;
      const auto size = static_cast<std::uint32_t>(query.bytes(0).size());
      body.assign(reinterpret_cast<const char*>(&size), sizeof size);
      body += query.bytes(0);
    }
    c.query("DELETE FROM microbatch_dead_letters WHERE id = ?").bind(id).run();
    const NewBatch batch{.items = 1, .body = body};
    state_->insert(c, {&batch, 1});
    return true;
  });
  if (there) wake();
  return there;
}

std::uint64_t Storage::replay(Position from) {
  State& state = *state_;
  const std::uint64_t before = counts().pending;
  state.db.write(Safety::synced, [&](Connection& c) {
    const std::int64_t number = batch_of(from);
    const std::int64_t items = state.items(c, number);
    std::optional<Progress> part;
    if (items > 0 && index_of(from) > 0) {
      const bool ended = number < state.first(c);
      Progress now = state.progress(c, number).value_or(Progress{});
      Progress front{.settled = {}, .attempts = now.attempts};
      for (std::uint32_t i = 0; i < index_of(from) && i < items; ++i)
        if (ended || now.is_settled(i)) front.settle(static_cast<std::uint32_t>(items), i, i + 1);
      part = std::move(front);
    }
    const std::int64_t lowest = state.first(c);
    // Ended batches below `first` have no progress; those between it and `from` stay as they are.
    if (number < lowest) {
      c.query("UPDATE microbatch_streams SET first = ? WHERE id = ?")
          .bind(number)
          .bind(state.id)
          .run();
    }
    c.query("DELETE FROM microbatch_progress WHERE key BETWEEN ? AND ?")
        .bind(state.key(number))
        .bind(state.last_key())
        .run();
    if (part) state.store(c, number, *part);
    c.query(
         "UPDATE microbatch_streams SET lease_token = lease_token + 1, lease_until = 0, "
         "lease_owner = 'replay', ended = head - 1 - ? WHERE id = ?")
        .bind(state.open_batches(c))
        .bind(state.id)
        .run();
  });
  wake();
  const std::uint64_t now = counts().pending;
  return now > before ? now - before : 0;
}

StoredCounts Storage::counts() {
  State& state = *state_;
  return state.db.read([&](Connection& c) {
    StoredCounts counts;
    std::int64_t first = 1;
    {
      Query query = c.query(
          "SELECT delivered, dead_lettered, expired, evicted, first, (SELECT count(*) FROM "
          "microbatch_dead_letters d WHERE d.stream = s.id) FROM microbatch_streams s WHERE id = "
          "?");
      if (!query.bind(state.id).step()) return counts;
      counts.delivered = static_cast<std::uint64_t>(query.number(0));
      counts.dead_lettered = static_cast<std::uint64_t>(query.number(1));
      counts.expired = static_cast<std::uint64_t>(query.number(2));
      counts.evicted = static_cast<std::uint64_t>(query.number(3));
      first = query.number(4);
      counts.dead_letters = static_cast<std::uint64_t>(query.number(5));
    }
    {
      Query query = c.query(
          "SELECT coalesce(sum(items), 0), coalesce(sum(length(body)), 0) FROM microbatch_batches "
          "WHERE key BETWEEN ? AND ?");
      query.bind(state.key(first)).bind(state.last_key()).step();
      counts.pending = static_cast<std::uint64_t>(query.number(0));
      counts.bytes = static_cast<std::uint64_t>(query.number(1));
    }
    Query query = c.query("SELECT settled FROM microbatch_progress WHERE key BETWEEN ? AND ?");
    query.bind(state.key(first)).bind(state.last_key());
    while (query.step())
      counts.pending -=
          Progress{.settled = std::string(query.bytes(0)), .attempts = {}}.settled_count();
    return counts;
  });
}

std::vector<BatchInfo> Storage::batches(std::int64_t from, std::size_t n) {
  State& state = *state_;
  return state.db.read([&](Connection& c) {
    std::vector<BatchInfo> found;
    const std::int64_t first = state.first(c);
    Query query = c.query(
        "SELECT b.key, b.items, b.written_at, p.settled FROM microbatch_batches b LEFT JOIN "
        "microbatch_progress p ON p.key = b.key WHERE b.key BETWEEN ? AND ? ORDER BY b.key LIMIT "
        "?");
    query.bind(state.key(std::max<std::int64_t>(from, 0)))
        .bind(state.last_key())
        .bind(static_cast<std::int64_t>(
            std::min<std::size_t>(n, std::numeric_limits<std::int32_t>::max())));
    while (query.step()) {
      BatchInfo info{.number = State::number(query.number(0)),
                     .items = static_cast<std::uint32_t>(query.number(1)),
                     .settled = 0,
                     .written_at = query.number(2)};
      info.settled =
          info.number < first
              ? info.items
              : Progress{.settled = std::string(query.bytes(3)), .attempts = {}}.settled_count();
      found.push_back(info);
    }
    return found;
  });
}

std::uint64_t Storage::notice() {
  return state_->db.side().bell(static_cast<std::uint64_t>(state_->id));
}
void Storage::wait(std::uint64_t seen, TimePoint until) {
  state_->db.side().wait(static_cast<std::uint64_t>(state_->id), static_cast<std::uint32_t>(seen),
                         until);
}
void Storage::wake() { state_->db.side().ring(static_cast<std::uint64_t>(state_->id)); }

std::vector<Database::StreamInfo> Database::streams() {
  std::vector<StreamInfo> found = impl_->read([&](Connection& c) {
    std::vector<StreamInfo> all;
    Query query = c.query(
        "SELECT name, codec, codec_version, created_at, read_at, keep, lease_until, lease_boot, "
        "lease_owner FROM microbatch_streams ORDER BY name");
    while (query.step())
      all.push_back({.name = std::string(query.bytes(0)),
                     .codec = std::string(query.bytes(1)),
                     .codec_version = static_cast<std::uint32_t>(query.number(2)),
                     .created_at = query.number(3),
                     .read_at = query.number(4),
                     .keep = query.number(5) != 0,
                     .leased = query.number(6) > steady_now() && query.bytes(7) == impl_->boot(),
                     .owner = std::string(query.bytes(8))});
    return all;
  });
  const std::shared_ptr<Database> borrowed(std::shared_ptr<void>(), this);
  for (StreamInfo& info : found)
    info.counts =
        Storage(borrowed, info.name,
                {.codec = info.codec, .codec_version = info.codec_version, .keep = info.keep})
            .counts();
  return found;
}

}  // namespace microbatch::sqlite
