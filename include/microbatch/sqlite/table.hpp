#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "../concepts/codec.hpp"
#include "../core/key_map.hpp"
#include "../durable/codecs.hpp"
#include "../state/table.hpp"
#include "storage.hpp"

namespace microbatch::inline v0_1::sqlite {

/// What a table in a file may hold, and how long.
struct TableOptions {
  std::size_t max_keys = std::numeric_limits<std::size_t>::max();
  bool evict = true;  ///< beyond max_keys the keys untouched for longest go; false: TableFull
  Duration max_age = Duration::max();  ///< a key untouched for so long (wall clock) is gone

  void check() const;
};

/// A key that this transaction has read was changed by another one meanwhile; nothing was done.
/// Whoever tries again sees the new state.
class TableChanged : public StorageError {
 public:
  explicit TableChanged(const std::string& text) : StorageError(text, true) {}
};

namespace detail {

/// How a type stands in a column: numbers and text as such, so that SQL can read them, everything
/// else as its codec's bytes.
template <class V, class C>
struct Column {
  static constexpr bool plain = std::is_same_v<C, DefaultCodec<V>>;

  static Value to_value(const V& v, const C& codec) {
    if constexpr (plain && std::integral<V>) {
      return static_cast<std::int64_t>(v);
    } else if constexpr (plain && (std::same_as<V, double> || std::same_as<V, float>)) {
      return static_cast<double>(v);
    } else {
      std::string bytes;
      codec.encode(v, bytes);
      if constexpr (std::same_as<C, TextCodec>) {
        return bytes;
      } else {
        const auto* begin = reinterpret_cast<const std::byte*>(bytes.data());
        return std::vector<std::byte>(begin, begin + bytes.size());
      }
    }
  }
  static V from_value(const Value& value, const C& codec) {
    if constexpr (plain && std::integral<V>) {
      return static_cast<V>(std::get<std::int64_t>(value));
    } else if constexpr (plain && (std::same_as<V, double> || std::same_as<V, float>)) {
      return static_cast<V>(std::get<double>(value));
    } else if constexpr (std::same_as<C, TextCodec>) {
      return codec.decode(std::get<std::string>(value));
    } else {
      const auto& bytes = std::get<std::vector<std::byte>>(value);
      return codec.decode({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
    }
  }
};

/// The table in the file, with its types erased. Threads: any.
class TableStore {
 public:
  struct Row {
    std::optional<Value> value{};  ///< none: there is no such key, or it is too old
    std::int64_t version = 0;      ///< 0: there is no such key
  };
  struct Change {
    Value key;
    Value value;
    std::int64_t version;  ///< with which it was read
  };

  TableStore(std::shared_ptr<Database> database, std::string name, const std::string& codecs,
             const TableOptions& options);
  TableStore(const TableStore&) = delete;
  TableStore& operator=(const TableStore&) = delete;

  [[nodiscard]] Row read(const Value& key);
  [[nodiscard]] std::vector<std::pair<Value, Value>> read_all();
  [[nodiscard]] std::size_t size();

  /// Adds the changes to a transaction that has none of this table yet. TableFull, UsageError.
  void write(std::span<const Change> changes, Transaction& into);
  void erase(const Value& key, Transaction& into) const;
  void clear(Transaction& into) const;
  void commit(const Transaction& transaction) { database_->execute(transaction); }

  /// The column holds another type than the table's.
  [[noreturn]] void not_ours(std::string_view what) const;

 private:
  void open(const std::string& codecs);
  [[nodiscard]] std::int64_t too_old() const;

  const std::shared_ptr<Database> database_;
  const std::string name_;
  const TableOptions options_;
  const std::string select_, select_all_, upsert_, expire_, evict_, erase_, clear_;
};

}  // namespace detail

/// State by key in the SQLite file of durable streams: as microbatch::Table, and what a window
/// changes is committed in the window's own transaction, so that state and input stay in step
/// through crashes and restarts.
///
///     auto file = std::make_shared<microbatch::sqlite::Database>("shop.db");
///     microbatch::sqlite::DurableStream<Sale> sales(file, "sales");
///     microbatch::sqlite::Table<std::string, double> totals(file, "totals");
///     auto consumer = microbatch::streaming(sales, emitter, [&](auto& window) {
///       totals.transaction(window, [&](auto& rows) {
///         for (const Sale& sale : window) rows[sale.customer] += sale.price;
///       });
///     });
///
/// The SQL table has the given name and the columns key, value, touched (wall clock, nanoseconds)
/// and version. Integers, floating-point numbers and text are stored as such; other types as the
/// bytes of their codec.
/// Windows see what has been committed, so they have to follow one another: Order::sequential.
/// Beside each other (Order::unordered, assistants), a window fails with TableChanged, and is tried
/// again, when another one has changed one of its keys; Order::committed_in_order cannot work.
/// Threads: any. Errors: StorageError; ConfigError for a name that SQL would have to quote.
template <class Key, class T, Codec<Key> KeyCodec = DefaultCodec<Key>,
          Codec<T> ValueCodec = DefaultCodec<T>>
class Table {
  static_assert(microbatch::detail::HashableKey<Key>,
                "microbatch: a table's key must have a std::hash, an ==, and be copyable");
  static_assert(std::copyable<T> && std::default_initializable<T>,
                "microbatch: a table's value must be copyable and default constructible: readers "
                "get copies");
  using KeyColumn = detail::Column<Key, KeyCodec>;
  using ValueColumn = detail::Column<T, ValueCodec>;
  using Store = detail::TableStore;

 public:
  using key_type = Key;
  using mapped_type = T;

  /// Opens the table, or makes it. StorageError where other types have written it.
  Table(std::shared_ptr<Database> database, const std::string& name,
        const TableOptions& options = {}, KeyCodec key_codec = {}, ValueCodec value_codec = {})
      : key_codec_(std::move(key_codec)),
        value_codec_(std::move(value_codec)),
        store_(std::make_unique<Store>(
            std::move(database), name,
            fmt::format("{} {}, {} {}", key_codec_.name(), key_codec_.version(),
                        value_codec_.name(), value_codec_.version()),
            options)) {}

  /// A copy of a key's value, as committed; none where it has none.
  [[nodiscard]] std::optional<T> get(const Key& key) const {
    return value_of(store_->read(key_value(key)));
  }
  [[nodiscard]] std::size_t size() const { return store_->size(); }

  /// Everything there is, as of one moment.
  [[nodiscard]] std::vector<std::pair<Key, T>> snapshot() const {
    std::vector<std::pair<Key, T>> all;
    for (const auto& [key, value] : store_->read_all())
      all.emplace_back(decoded<KeyColumn>(key, key_codec_, "key"),
                       decoded<ValueColumn>(value, value_codec_, "value"));
    return all;
  }

  /// The rows of a transaction: what was read or written so far, beside the table.
  class Rows {
   public:
    /// A key's value, to be changed; T{} where it has none.
    T& operator[](const Key& key) {
      const auto [slot, is_new] = changed_.insert(key, [&] {
        const Store::Row row = table_.store_->read(table_.key_value(key));
        return Changed{table_.value_of(row).value_or(T{}), row.version};
      });
      return changed_[slot].value;
    }
    /// Without making it one that is touched.
    [[nodiscard]] std::optional<T> get(const Key& key) const {
      const std::uint32_t mine = changed_.find(key);
      return mine != changed_.none ? std::optional<T>(changed_[mine].value) : table_.get(key);
    }

   private:
    friend class Table;
    struct Changed {
      T value;
      std::int64_t version;
    };
    explicit Rows(const Table& table) : table_(table) {}
    const Table& table_;
    microbatch::detail::KeyMap<Key, Changed> changed_;
  };

  /// f(Rows&): its changes are committed together with the window, or not at all. Once per window
  /// and table. Where f throws, it has changed nothing. TableFull where its new keys have no room.
  template <class W, std::invocable<Rows&> F>
    requires requires(W& window) {
      { window.transaction() } -> std::same_as<Transaction&>;
    }
  void transaction(W& window, F f) {
    collect(window.transaction(), f);
  }
  /// The same in a transaction of its own, which is synced when this returns. f may run several
  /// times, where others change the same keys.
  template <std::invocable<Rows&> F>
  void transaction(F f) {
    for (;;) {
      Transaction own;
      collect(own, f);
      try {
        return store_->commit(own);
      } catch (const TableChanged&) {  // somebody else came to an end meanwhile
      }
    }
  }
  void put(const Key& key, const T& value) {
    transaction([&](Rows& rows) { rows[key] = value; });
  }
  /// f(T&); a new key begins with T{}.
  template <std::invocable<T&> F>
  void update(const Key& key, F f) {
    transaction([&](Rows& rows) { std::invoke(f, rows[key]); });
  }
  void erase(const Key& key) {
    Transaction own;
    store_->erase(key_value(key), own);
    store_->commit(own);
  }
  void clear() {
    Transaction own;
    store_->clear(own);
    store_->commit(own);
  }

 private:
  [[nodiscard]] Value key_value(const Key& key) const {
    return KeyColumn::to_value(key, key_codec_);
  }
  [[nodiscard]] std::optional<T> value_of(const Store::Row& row) const {
    if (!row.value) return {};
    return decoded<ValueColumn>(*row.value, value_codec_, "value");
  }
  template <class Col, class C>
  [[nodiscard]] auto decoded(const Value& value, const C& codec, std::string_view column) const {
    try {
      return Col::from_value(value, codec);
    } catch (const std::bad_variant_access&) {
      store_->not_ours(column);
    }
  }
  template <class F>
  void collect(Transaction& into, F& f) {
    Rows rows(*this);
    std::invoke(f, rows);
    std::vector<Store::Change> changes;
    changes.reserve(rows.changed_.size());
    rows.changed_.for_each([&](const Key& key, const typename Rows::Changed& row) {
      changes.push_back(
          {key_value(key), ValueColumn::to_value(row.value, value_codec_), row.version});
    });
    store_->write(changes, into);
  }

  KeyCodec key_codec_;
  ValueCodec value_codec_;
  std::unique_ptr<Store> store_;
};

}  // namespace microbatch::inline v0_1::sqlite
