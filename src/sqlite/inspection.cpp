// What a file holds, for whoever asks.

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "state.hpp"

namespace microbatch::inline v0_1::sqlite {

namespace {

std::int64_t limit(std::size_t n) {
  return static_cast<std::int64_t>(
      std::min<std::size_t>(n, std::numeric_limits<std::int32_t>::max()));
}

}  // namespace

std::vector<StoredDeadLetter> Storage::dead_letters(std::int64_t after, std::size_t n) {
  return state_->db.read([&](Connection& c) {
    std::vector<StoredDeadLetter> found;
    Query query = c.query(
        "SELECT id, position, item, error, attempts, died_at, checksum FROM "
        "microbatch_dead_letters "
        "WHERE stream = ? AND id > ? ORDER BY id LIMIT ?");
    query.bind(state_->id).bind(after).bind(limit(n));
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
    query.bind(state.key(std::max<std::int64_t>(from, 0))).bind(state.last_key()).bind(limit(n));
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

std::vector<WindowInfo> Storage::windows(std::int64_t after, std::size_t n) {
  return state_->db.read([&](Connection& c) {
    std::vector<WindowInfo> found;
    Query query = c.query(
        "SELECT id, first, last, items, committed_at FROM microbatch_windows "
        "WHERE stream = ? AND id > ? ORDER BY id LIMIT ?");
    query.bind(state_->id).bind(after).bind(limit(n));
    while (query.step())
      found.push_back({.id = query.number(0),
                       .first = query.number(1),
                       .last = query.number(2),
                       .items = static_cast<std::uint64_t>(query.number(3)),
                       .committed_at = query.number(4)});
    return found;
  });
}

std::vector<std::optional<ItemEnd>> Storage::ends(std::span<const Position> positions) {
  const State& state = *state_;
  return state.db.read([&](Connection& c) {
    std::vector<std::optional<ItemEnd>> found;
    found.reserve(positions.size());
    const std::int64_t first = state.first(c);
    std::int64_t number = -1;  // neighbours are asked for together
    bool there = false;
    std::optional<Progress> progress;
    for (const Position position : positions) {
      if (batch_of(position) != number) {
        number = batch_of(position);
        there = number >= first && state.items(c, number) >= 0;
        progress = there ? state.progress(c, number) : std::nullopt;
      }
      const bool open = there && !(progress && progress->is_settled(index_of(position)));
      found.push_back(open ? std::nullopt : std::optional(state.end_of(c, position)));
    }
    return found;
  });
}

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

}  // namespace microbatch::inline v0_1::sqlite
