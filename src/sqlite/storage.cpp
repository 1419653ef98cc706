#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "state.hpp"

namespace microbatch::inline v0_1::sqlite {

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
    if (!look(c) || state.id > State::most_streams)
      throw StorageError(
          fmt::format("{}: more than {} streams", state.db.path(), State::most_streams));
  });
}
Storage::~Storage() = default;

const std::string& Storage::name() const noexcept { return state_->name; }

std::int64_t Storage::append(std::span<const NewBatch> batches, Safety safety) {
  const std::int64_t first =
      state_->db.write(safety, [&](Connection& c) { return state_->insert(c, batches); });
  wake(Bell::appended);
  return first;
}

void Storage::sync() { state_->db.sync(); }

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

void Storage::settle(std::uint64_t token, std::span<const ItemRun> runs, Transaction& transaction,
                     Safety safety) {
  state_->db.write(safety, [&](Connection& c) {
    state_->check_token(c, token);
    state_->settle(c, runs, transaction);
  });
  wake(Bell::ended);
}

void Storage::record_failure(std::uint64_t token, std::span<const ItemRun> runs) {
  state_->db.write(Safety::written, [&](Connection& c) {
    state_->check_token(c, token);
    state_->fail_items(c, runs);
  });
}

std::uint32_t Storage::mark(std::uint64_t token, std::span<const ItemRun> runs) noexcept {
  return state_->db.side().mark(state_->id, token, runs);
}
void Storage::unmark(std::uint64_t token, std::uint32_t mark) noexcept {
  state_->db.side().unmark(token, mark);
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
  wake(Bell::ended);
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
  if (there) wake(Bell::appended);
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
  wake(Bell::appended);
  const std::uint64_t now = counts().pending;
  return now > before ? now - before : 0;
}

std::uint64_t Storage::notice(Bell bell) { return state_->db.side().bell(state_->id, bell); }
void Storage::wait(Bell bell, std::uint64_t seen, TimePoint until) {
  state_->db.side().wait(state_->id, bell, static_cast<std::uint32_t>(seen), until);
}
void Storage::wake(Bell bell) { state_->db.side().ring(state_->id, bell); }

}  // namespace microbatch::inline v0_1::sqlite
