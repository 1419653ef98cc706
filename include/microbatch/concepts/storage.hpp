#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../core/clock.hpp"
#include "../core/errors.hpp"
#include "../core/results.hpp"

namespace microbatch::inline v0_1 {

/// How safe an item is when its append is answered.
enum class Safety : std::uint8_t {
  queued,   ///< in this process' memory
  written,  ///< survives the end of the process, also by kill -9
  synced,   ///< survives a power cut
};

/// The store could not do it. The text names the store and the cause. It is transient to a failure
/// policy: it says nothing about the items.
class StorageError : public TransientError {
 public:
  explicit StorageError(const std::string& text, bool may_pass = false)
      : TransientError(text), may_pass_(may_pass) {}
  /// Trying again may help: the disk is full, another program holds the lock.
  [[nodiscard]] bool may_pass() const noexcept { return may_pass_; }

 private:
  bool may_pass_;
};

/// Another consumer has taken over: what this one still wanted to commit is not committed.
class LeaseLost : public StorageError {
 public:
  using StorageError::StorageError;
};

/// A statement of a transaction() was refused: a constraint, a table that is not there. Unlike a
/// StorageError it counts as the window's own failure.
class StatementError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// An item's place in a durable stream: ascending in the order of writing, never reused, the same
/// after each restart. Not consecutive: the number of the item's batch, and its index in it.
using Position = std::int64_t;

inline constexpr std::uint32_t max_batch_items = 1U << 20;

[[nodiscard]] constexpr Position position_of(std::int64_t batch, std::uint32_t index) noexcept {
  return batch * max_batch_items + index;
}
[[nodiscard]] constexpr std::int64_t batch_of(Position position) noexcept {
  return position / max_batch_items;
}
[[nodiscard]] constexpr std::uint32_t index_of(Position position) noexcept {
  return static_cast<std::uint32_t>(position % max_batch_items);
}

/// The items [begin, end) of one batch.
struct ItemRun {
  std::int64_t batch = 0;
  std::uint32_t begin = 0;
  std::uint32_t end = 0;

  friend bool operator==(const ItemRun&, const ItemRun&) = default;
};

/// Items that are written together. `body` is BatchBody's: storages do not look into it.
struct NewBatch {
  std::uint32_t items = 0;
  std::string_view body{};
};

/// The same as it lies in the store, with what has become of its items.
struct StoredBatch {
  std::int64_t number = 0;
  std::uint32_t items = 0;
  std::int64_t written_at = 0;  ///< wall clock, nanoseconds since 1970
  TimePoint arrived_at{};       ///< steady clock; TimePoint{} where it was before a reboot
  std::string body{};
  std::vector<bool> settled{};            ///< by item; empty: none is
  std::vector<std::uint16_t> attempts{};  ///< failed ones, by item; empty: none
};

/// The right to consume a stream, until somebody else takes it.
struct Lease {
  std::uint64_t token = 0;  ///< grows with every holder; an older one is refused
  std::int64_t first = 0;   ///< nothing below this batch is pending
};

/// An item that could not be delivered, as the store keeps it.
struct StoredDeadLetter {
  std::int64_t id = 0;  ///< given by the store
  Position position = 0;
  std::string item{};  ///< as the codec wrote it
  std::string error{};
  std::uint32_t attempts = 0;
  std::int64_t died_at = 0;  ///< wall clock, nanoseconds since 1970
};

/// How an item ended.
struct ItemEnd {
  Outcome outcome = Outcome::delivered;
  std::string error{};  ///< of a dead letter; why it was dropped
};

/// What a store tells those who wait for it.
enum class Bell : std::uint8_t {
  appended,  ///< there are new items
  ended,     ///< items have ended
  lent,      ///< a window is offered to other processes, or one of those has changed
};
inline constexpr std::size_t bell_count = 3;

/// What a store counts of a stream, in items, since it was created.
struct StoredCounts {
  std::uint64_t pending = 0;
  std::uint64_t delivered = 0;
  std::uint64_t dead_lettered = 0;  ///< ever; put back ones included
  std::uint64_t expired = 0;        ///< dropped: older than expire_after
  std::uint64_t evicted = 0;        ///< dropped: beyond max_bytes
  std::uint64_t dead_letters = 0;   ///< that lie there now
  std::uint64_t bytes = 0;          ///< of the pending batches
};

/// What is dropped, oldest first. Only whole batches that are not loaded yet.
struct DropRule {
  Duration older_than = Duration::max();
  std::uint64_t max_bytes = std::numeric_limits<std::uint64_t>::max();

  [[nodiscard]] bool drops() const noexcept {
    return older_than != Duration::max() || max_bytes != std::numeric_limits<std::uint64_t>::max();
  }
};

/// One named stream in a store. Every function is one transaction: all of it happens or nothing,
/// and it throws StorageError. Threads: any, all functions.
///
///   Transaction                   what a callback wants done together with its window's commit
///   append(batches, safety)       writes them in this order; the number of the first
///   sync()                        what was written before is synced now
///   load(from, bytes, into)       appends pending batches numbered `from` or higher, in order, at
///                                 least one if there is one, until they are `bytes` large
///   head()                        the number that the next batch will have
///   acquire(owner, time)          the lease, if it is free or has run out
///   renew(token, time)            LeaseLost if another one has it
///   release(token)
///   settle(token, runs, tx, s)    these items are delivered, and `tx` is done; LeaseLost
///   record_failure(token, runs)   one more failed attempt of these items; LeaseLost
///   mark(token, runs)             these items are with a callback now, until unmark(). What is
///                                 still marked when the next holder takes the lease has failed
///                                 once more. It costs no transaction, and throws nothing
///   bury(token, letter)           this item is dead: settled, and in the dead letters; LeaseLost
///   drop(rule, from)              drops what the rule says, of batches numbered `from` or higher
///   dead_letters(after, n)        with ids above `after`, ascending
///   put_back(id)                  a dead letter is appended again; false if there is none
///   replay(from)                  what was kept from this position on is pending again; the lease
///                                 is lost. How many items
///   ends(positions)               how these items ended; nothing for those that have not
///   notice(bell)                  a number that changes when that happens, in whatever process
///   wait(bell, seen, until)       until it is not `seen` any more
///   wake(bell)                    changes it
///
/// Models: MemoryStorage, sqlite::Storage.
template <class S>
concept Storage = requires(S& store, typename S::Transaction& tx, std::span<const NewBatch> batches,
                           std::span<const ItemRun> runs, std::vector<StoredBatch>& into,
                           const StoredDeadLetter& letter, const DropRule& rule, Safety safety,
                           std::span<const Position> positions, std::uint64_t token,
                           std::int64_t number, std::uint32_t mark, std::string_view owner,
                           std::size_t n, Duration time, TimePoint until, Bell bell) {
  { store.append(batches, safety) } -> std::same_as<std::int64_t>;
  store.sync();
  store.load(number, n, into);
  { store.head() } -> std::same_as<std::int64_t>;
  { store.acquire(owner, time) } -> std::same_as<std::optional<Lease>>;
  store.renew(token, time);
  store.release(token);
  store.settle(token, runs, tx, safety);
  store.record_failure(token, runs);
  { store.mark(token, runs) } noexcept -> std::same_as<std::uint32_t>;
  { store.unmark(token, mark) } noexcept;
  store.bury(token, letter);
  store.drop(rule, number);
  { store.dead_letters(number, n) } -> std::same_as<std::vector<StoredDeadLetter>>;
  { store.put_back(number) } -> std::same_as<bool>;
  { store.replay(number) } -> std::same_as<std::uint64_t>;
  { store.counts() } -> std::same_as<StoredCounts>;
  { store.ends(positions) } -> std::same_as<std::vector<std::optional<ItemEnd>>>;
  { store.notice(bell) } -> std::same_as<std::uint64_t>;
  store.wait(bell, token, until);
  store.wake(bell);
  { store.name() } -> std::convertible_to<std::string>;
};

}  // namespace microbatch::inline v0_1
