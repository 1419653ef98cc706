// What is dropped by rule.

#include <string_view>
#include <utility>
#include <vector>

#include "state.hpp"

namespace microbatch::inline v0_1::sqlite {

namespace {

/// For those who wait for the item: a batch that is not there any more was dropped, not delivered.
/// Neighbours are one row.
void remember_drop(Connection& c, std::int64_t stream, std::int64_t number, std::string_view why) {
  c.query("UPDATE microbatch_drops SET last = ?2 WHERE stream = ?1 AND last = ?2 - 1 AND why = ?3")
      .bind(stream)
      .bind(number)
      .bind(why)
      .run();
  if (c.changes() > 0) return;
  c.query(
       "INSERT OR REPLACE INTO microbatch_drops(stream, first, last, why) VALUES (?1, ?2, ?2, ?3)")
      .bind(stream)
      .bind(number)
      .bind(why)
      .run();
}

/// Of rows like those a stream keeps the last ones.
void forget_old_drops(Connection& c, std::int64_t stream, std::int64_t keep) {
  c.query(
       "DELETE FROM microbatch_drops WHERE stream = ?1 AND first < (SELECT first FROM "
       "microbatch_drops WHERE stream = ?1 ORDER BY first DESC LIMIT 1 OFFSET ?2)")
      .bind(stream)
      .bind(keep - 1)
      .run();
}

}  // namespace

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
      remember_drop(c, state.id, batch.number, old ? "expired" : "evicted");
    }
    forget_old_drops(c, state.id, State::kept_drops);
    state.count(c, "UPDATE microbatch_streams SET ended = ended + ? WHERE id = ?", dropped);
    state.count(c, "UPDATE microbatch_streams SET expired = expired + ? WHERE id = ?", expired);
    state.count(c, "UPDATE microbatch_streams SET evicted = evicted + ? WHERE id = ?", evicted);
  });
  wake(Bell::ended);
}

}  // namespace microbatch::inline v0_1::sqlite
