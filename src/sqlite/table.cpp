#include <microbatch/sqlite/table.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <microbatch/core/errors.hpp>

#include "database.hpp"
#include "progress.hpp"

namespace microbatch::inline v0_1::sqlite {

void TableOptions::check() const {
  if (max_keys < 1) throw ConfigError("sqlite::TableOptions.max_keys must be at least 1, got 0");
  if (max_age <= Duration::zero())
    throw ConfigError(
        fmt::format("sqlite::TableOptions.max_age must be above 0 ns, got {} ns", max_age.count()));
}

namespace detail {

namespace {

constexpr std::size_t unbounded = std::numeric_limits<std::size_t>::max();

std::string checked(std::string name) {
  const auto letter = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
  };
  const bool fine =
      !name.empty() && name.size() <= 100 && letter(name[0]) &&
      std::ranges::all_of(name, [&](char c) { return letter(c) || (c >= '0' && c <= '9'); });
  if (!fine || name.starts_with("microbatch_") || name.starts_with("sqlite_"))
    throw ConfigError(
        fmt::format("sqlite::Table: the name must be of letters, digits and _, begin with none of "
                    "the digits, microbatch_ and sqlite_, and have 1 to 100 characters; got '{}'",
                    name));
  return name;
}

}  // namespace

// A row's version goes up by one with each change; whoever has read an older one is refused, by a
// trigger, so that no statement has to be asked what it did. Triggers count the keys, too: counting
// them anew for each window would take as long as the table is large.

TableStore::TableStore(std::shared_ptr<Database> database, std::string name,
                       const std::string& codecs, const TableOptions& options)
    : database_(std::move(database)),
      name_(checked(std::move(name))),
      options_((options.check(), options)),
      select_(fmt::format("SELECT value, version, touched FROM \"{}\" WHERE key = ?", name_)),
      select_all_(fmt::format("SELECT key, value FROM \"{}\" WHERE touched > ?", name_)),
      upsert_(fmt::format(
          "INSERT INTO \"{}\"(key, value, touched, version) VALUES (?, ?, ?, ?) "
          "ON CONFLICT(key) DO UPDATE SET value = excluded.value, touched = excluded.touched, "
          "version = excluded.version",
          name_)),
      expire_(fmt::format("DELETE FROM \"{}\" WHERE touched <= ?", name_)),
      evict_(fmt::format("DELETE FROM \"{0}\" WHERE key IN (SELECT key FROM \"{0}\" ORDER BY "
                         "touched LIMIT max(0, (SELECT keys FROM microbatch_tables WHERE name = "
                         "'{0}') - ?))",
                         name_)),
      erase_(fmt::format("DELETE FROM \"{}\" WHERE key = ?", name_)),
      clear_(fmt::format("DELETE FROM \"{}\"", name_)) {
  if (!database_) throw ConfigError("sqlite::Table: the database is null");
  open(codecs);
}

void TableStore::open(const std::string& codecs) {
  database_->impl().write(Safety::synced, [&](Connection& c) {
    c.execute(
        "CREATE TABLE IF NOT EXISTS microbatch_tables(name TEXT PRIMARY KEY, codecs TEXT NOT NULL, "
        "keys INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID");
    {
      Query known = c.query("SELECT codecs FROM microbatch_tables WHERE name = ?");
      if (known.bind(std::string_view(name_)).step()) {
        if (known.bytes(0) != codecs)
          throw StorageError(
              fmt::format("{}: table '{}' holds keys and values by the codecs {}; this program "
                          "has {}",
                          database_->path(), name_, known.bytes(0), codecs));
        return;
      }
    }
    {
      Query other = c.query("SELECT 1 FROM sqlite_master WHERE name = ?");
      if (other.bind(std::string_view(name_)).step())
        throw StorageError(fmt::format("{}: '{}' is there already, and is no sqlite::Table",
                                       database_->path(), name_));
    }
    c.execute(fmt::format(R"sql(
        CREATE TABLE "{0}"(key PRIMARY KEY NOT NULL, value NOT NULL, touched INTEGER NOT NULL,
                           version INTEGER NOT NULL) WITHOUT ROWID;
        CREATE INDEX "{0}_by_age" ON "{0}"(touched);
        CREATE TRIGGER "microbatch_{0}_step" BEFORE UPDATE OF version ON "{0}"
          WHEN NEW.version <> OLD.version + 1
          BEGIN SELECT RAISE(ABORT, 'microbatch: changed meanwhile'); END;
        CREATE TRIGGER "microbatch_{0}_in" AFTER INSERT ON "{0}"
          BEGIN UPDATE microbatch_tables SET keys = keys + 1 WHERE name = '{0}'; END;
        CREATE TRIGGER "microbatch_{0}_out" AFTER DELETE ON "{0}"
          BEGIN UPDATE microbatch_tables SET keys = keys - 1 WHERE name = '{0}'; END)sql",
                          name_)
                  .c_str());
    c.query("INSERT INTO microbatch_tables(name, codecs) VALUES (?, ?)")
        .bind(std::string_view(name_))
        .bind(std::string_view(codecs))
        .run();
  });
}

std::int64_t TableStore::too_old() const {
  if (options_.max_age == Duration::max()) return std::numeric_limits<std::int64_t>::min();
  return wall_now() - options_.max_age.count();
}

TableStore::Row TableStore::read(const Value& key) {
  return database_->impl().read([&](Connection& c) -> Row {
    Query query = c.prepared(select_);
    if (!query.value(key).step()) return {};
    Row row{.value = {}, .version = query.number(1)};
    if (query.number(2) > too_old()) row.value = query.value_at(0);
    return row;
  });
}

std::vector<std::pair<Value, Value>> TableStore::read_all() {
  return database_->impl().read([&](Connection& c) {
    std::vector<std::pair<Value, Value>> all;
    Query query = c.prepared(select_all_);
    query.bind(too_old());
    while (query.step()) all.emplace_back(query.value_at(0), query.value_at(1));
    return all;
  });
}

std::size_t TableStore::size() {
  return database_->impl().read([&](Connection& c) {
    Query query = c.query("SELECT keys FROM microbatch_tables WHERE name = ?");
    return query.bind(std::string_view(name_)).step() ? static_cast<std::size_t>(query.number(0))
                                                      : 0;
  });
}

void TableStore::write(std::span<const Change> changes, Transaction& into) {
  if (!into.enlist(this))
    throw UsageError(fmt::format(
        "sqlite::Table '{}': transaction() for the second time in one window, where it would not "
        "see what the first one has changed; make all changes in one",
        name_));
  if (changes.empty()) return;
  if (!options_.evict) {
    const auto added =
        static_cast<std::size_t>(std::ranges::count(changes, std::int64_t{0}, &Change::version));
    if (added > 0 && size() + added > options_.max_keys) throw TableFull(options_.max_keys);
  }
  const std::int64_t now = wall_now();
  for (const Change& change : changes)
    into.execute(upsert_, change.key, change.value, now, change.version + 1);
  if (options_.max_age != Duration::max()) into.execute(expire_, too_old());
  if (options_.evict && options_.max_keys != unbounded) into.execute(evict_, options_.max_keys);
}

void TableStore::erase(const Value& key, Transaction& into) const { into.execute(erase_, key); }
void TableStore::clear(Transaction& into) const { into.execute(clear_); }

void TableStore::not_ours(std::string_view what) const {
  throw StorageError(
      fmt::format("{}: table '{}': a {} is of another type than this table's; who "
                  "has written it?",
                  database_->path(), name_, what));
}

}  // namespace detail
}  // namespace microbatch::inline v0_1::sqlite
