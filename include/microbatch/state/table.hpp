#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <limits>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <type_traits>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "../core/clock.hpp"
#include "../core/errors.hpp"
#include "../core/key_map.hpp"

namespace microbatch::inline v0_1 {

/// What a table may hold, and how long.
struct TableOptions {
  std::size_t max_keys = std::numeric_limits<std::size_t>::max();
  bool evict = true;  ///< beyond max_keys the keys untouched for longest go; false: TableFull
  Duration max_age = Duration::max();  ///< a key untouched for so long is gone
  Clock* clock = &steady_clock();

  void check() const {
    if (max_keys < 1) throw ConfigError("TableOptions.max_keys must be at least 1, got 0");
    if (max_age <= Duration::zero())
      throw ConfigError(
          fmt::format("TableOptions.max_age must be above 0 ns, got {} ns", max_age.count()));
    if (clock == nullptr) throw ConfigError("TableOptions.clock must not be null");
  }
};

/// A table is full and may not evict; nothing was changed.
class TableFull : public std::runtime_error {
 public:
  explicit TableFull(std::size_t max_keys)
      : std::runtime_error(fmt::format(
            "table: it holds its {} keys, and evicting is off; raise TableOptions.max_keys, or set "
            "max_age or evict",
            max_keys)) {}
};

/// State by key, in memory: windows update it, any thread reads it.
///
/// Use it for what outlives a window: totals, last values, profiles. Not for what must survive a
/// restart: it begins empty, while its source goes on where it had committed. For that there is
/// sqlite::Table.
/// Threads: any. Updates of one table follow one another; an update of many keys (a transaction) is
/// seen whole or not at all.
/// Guarantees: a transaction that throws has changed nothing, so a window that is tried again does
/// not count twice. Retention: see TableOptions; what is touched is what update() or put() wrote.
///
///     microbatch::Table<std::string, std::uint64_t> views;
///     auto consumer = microbatch::streaming(stream, emitter, [&](Window<Hit>& window) {
///       views.transaction([&](auto& rows) {
///         for (const Hit& hit : window) ++rows[hit.url];
///       });
///     });
///     views.get("/index");          // std::optional<std::uint64_t>, from any thread
template <class Key, class Value>
class Table {
  static_assert(detail::HashableKey<Key>,
                "microbatch: a table's key must have a std::hash, an ==, and be copyable");
  static_assert(std::copyable<Value> && std::default_initializable<Value>,
                "microbatch: a table's value must be copyable and default constructible: readers "
                "get copies");

 public:
  using key_type = Key;
  using mapped_type = Value;

  explicit Table(TableOptions options = {}) : options_((options.check(), options)) {}
  Table(const Table&) = delete;
  Table& operator=(const Table&) = delete;

  /// A copy of a key's value; none where it has none.
  template <class Q>
  [[nodiscard]] std::optional<Value> get(const Q& key) const {
    std::shared_lock lock(mutex_);
    const std::uint32_t slot = rows_.find(key);
    if (slot == rows_.none || is_old(rows_[slot], options_.clock->now())) return {};
    return rows_[slot].value;
  }
  [[nodiscard]] std::size_t size() const {
    std::shared_lock lock(mutex_);
    return rows_.size();
  }

  /// Everything there is, as of one moment.
  [[nodiscard]] std::vector<std::pair<Key, Value>> snapshot() const {
    std::vector<std::pair<Key, Value>> all;
    std::shared_lock lock(mutex_);
    const TimePoint now = options_.clock->now();
    all.reserve(rows_.size());
    rows_.for_each([&](const Key& key, const Row& row) {
      if (!is_old(row, now)) all.emplace_back(key, row.value);
    });
    return all;
  }

  void put(const Key& key, Value value) {
    transaction([&](Rows& rows) { rows[key] = std::move(value); });
  }
  /// f(Value&); a new key begins with Value{}.
  template <std::invocable<Value&> F>
  void update(const Key& key, F f) {
    transaction([&](Rows& rows) { std::invoke(f, rows[key]); });
  }
  /// True if it was there.
  bool erase(const Key& key) {
    std::unique_lock lock(mutex_);
    return forget(key);
  }
  void clear() {
    std::unique_lock lock(mutex_);
    rows_.clear();
    by_age_.clear();
  }

  /// The rows of a transaction: what was read or written so far, beside the table.
  class Rows {
   public:
    /// A key's value, to be changed; Value{} where it has none.
    Value& operator[](const Key& key) {
      const auto [slot, is_new] = changed_.insert(key, [&] {
        const std::uint32_t at = table_.rows_.find(key);
        if (at == table_.rows_.none || table_.is_old(table_.rows_[at], now_)) return Value{};
        return table_.rows_[at].value;
      });
      return changed_[slot];
    }
    /// Without making it one that is touched.
    [[nodiscard]] std::optional<Value> get(const Key& key) const {
      const std::uint32_t mine = changed_.find(key);
      if (mine != changed_.none) return changed_[mine];
      const std::uint32_t at = table_.rows_.find(key);
      if (at == table_.rows_.none || table_.is_old(table_.rows_[at], now_)) return {};
      return table_.rows_[at].value;
    }

   private:
    friend class Table;
    Rows(Table& table, TimePoint now) : table_(table), now_(now) {}
    Table& table_;
    const TimePoint now_;
    detail::KeyMap<Key, Value> changed_;
  };

  /// f(Rows&): all of its changes, or, where it throws, none. One transaction at a time; readers go
  /// on until it has ended. TableFull where its new keys have no room.
  template <std::invocable<Rows&> F>
  void transaction(F f) {
    std::lock_guard writing(writers_);
    const TimePoint now = options_.clock->now();
    Rows rows(*this, now);
    std::invoke(f, rows);
    std::unique_lock lock(mutex_);
    forget_old(now);
    std::size_t added = 0;
    rows.changed_.for_each([&](const Key& key, const Value&) {
      if (rows_.find(key) == rows_.none) ++added;
    });
    if (!options_.evict && added > 0 && rows_.size() + added > options_.max_keys)
      throw TableFull(options_.max_keys);
    rows.changed_.for_each(
        [&](const Key& key, Value& value) { write(key, std::move(value), now); });
    while (rows_.size() > options_.max_keys) forget_oldest();
  }

  /// Retention at work: keys that went because of age or size.
  [[nodiscard]] std::uint64_t evicted() const {
    std::shared_lock lock(mutex_);
    return evicted_;
  }

 private:
  struct Row {
    Value value;
    TimePoint touched;
    std::uint64_t version;  // of its last note in by_age_
  };
  struct Note {
    std::uint32_t slot;
    std::uint64_t version;
    TimePoint touched;
  };

  [[nodiscard]] bool keeps_age() const noexcept {
    return options_.max_age != Duration::max() ||
           options_.max_keys != std::numeric_limits<std::size_t>::max();
  }
  [[nodiscard]] bool is_old(const Row& row, TimePoint now) const noexcept {
    return options_.max_age != Duration::max() &&
           now >= detail::later(row.touched, options_.max_age);
  }

  void write(const Key& key, Value&& value, TimePoint now) {
    const std::uint64_t version = ++versions_;
    const auto [slot, is_new] = rows_.insert(key, [] { return Row{}; });
    rows_[slot] = {std::move(value), now, version};
    if (!keeps_age()) return;
    by_age_.push_back({slot, version, now});
    if (by_age_.size() > 2 * rows_.size() + 64)  // mostly notes that others have replaced
      std::erase_if(by_age_, [&](const Note& note) { return !holds(note); });
  }
  /// The note is the last one of a key that is still there.
  [[nodiscard]] bool holds(const Note& note) const noexcept {
    return rows_[note.slot].version == note.version;
  }
  bool forget(const Key& key) {
    const std::uint32_t slot = rows_.find(key);
    if (slot == rows_.none) return false;
    rows_[slot] = {};
    rows_.erase(slot);
    return true;
  }
  void forget_old(TimePoint now) {
    if (options_.max_age == Duration::max()) return;
    while (!by_age_.empty()) {
      const Note note = by_age_.front();
      if (holds(note) && now < detail::later(note.touched, options_.max_age)) return;
      by_age_.pop_front();
      if (holds(note)) evict(note);
    }
  }
  void forget_oldest() {
    while (!by_age_.empty()) {
      const Note note = by_age_.front();
      by_age_.pop_front();
      if (holds(note)) return evict(note);
    }
  }
  void evict(const Note& note) {
    rows_[note.slot] = {};
    rows_.erase(note.slot);
    ++evicted_;
  }

  const TableOptions options_;
  std::mutex writers_;
  mutable std::shared_mutex mutex_;
  detail::KeyMap<Key, Row> rows_;
  std::deque<Note> by_age_;
  std::uint64_t versions_ = 0;
  std::uint64_t evicted_ = 0;
};

}  // namespace microbatch::inline v0_1
