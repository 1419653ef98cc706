#pragma once

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace microbatch::inline v0_1::detail {

/// What a key function's result is kept as: views of text become text.
template <class R>
using StoredKey = std::conditional_t<std::same_as<std::remove_cvref_t<R>, std::string_view>,
                                     std::string, std::remove_cvref_t<R>>;

template <class K>
concept HashableKey = std::equality_comparable<K> && std::copyable<K> && requires(const K& key) {
  { std::hash<K>{}(key) } -> std::convertible_to<std::size_t>;
};

/// A hash map whose entries stand one behind the other and keep their slot until they are erased.
/// Beyond the entries it takes 8 bytes for each cell of a table that is at most three quarters
/// full.
///
/// Threads: one at a time. Errors: what the hash, a comparison or a copy of a key throws comes out
/// of find() and insert(), and nothing has changed then.
template <class K, class V>
class KeyMap {
 public:
  static constexpr std::uint32_t none = ~std::uint32_t{0};

  /// The slot of a key (or of what is equal to it), or none.
  template <class Q>
  [[nodiscard]] std::uint32_t find(const Q& key) const {
    if (cells_.empty()) return none;
    const std::uint32_t hash = hash_of(key);
    for (std::size_t i = home(hash);; i = next(i)) {
      const Cell& cell = cells_[i];
      if (cell.slot == none) return none;
      if (cell.hash == hash && entries_[cell.slot].key == key) return cell.slot;
    }
  }

  /// The slot of a key; where it is new, with the value that make() returns.
  template <class Q, class Make>
  std::pair<std::uint32_t, bool> insert(Q&& key, Make&& make) {
    if (4 * (size_ + 1) > 3 * cells_.size()) grow();
    const std::uint32_t hash = hash_of(key);
    std::size_t i = home(hash);
    for (; cells_[i].slot != none; i = next(i))
      if (cells_[i].hash == hash && entries_[cells_[i].slot].key == key)
        return {cells_[i].slot, false};
    std::uint32_t slot = none;
    if (free_.empty()) {
      slot = static_cast<std::uint32_t>(entries_.size());
      entries_.push_back({K(std::forward<Q>(key)), make()});
    } else {
      slot = free_.back();
      entries_[slot].key = K(std::forward<Q>(key));
      entries_[slot].value = make();
      free_.pop_back();
    }
    cells_[i] = {hash, slot};
    ++size_;
    return {slot, true};
  }

  /// Forgets an entry; its slot goes to a later one.
  void erase(std::uint32_t slot) {
    std::size_t hole = cell_of(slot);
    free_.push_back(slot);
    // Those behind it that would be found no more move up.
    for (std::size_t i = next(hole); cells_[i].slot != none; i = next(i)) {
      const std::size_t wanted = home(cells_[i].hash);
      const std::size_t mask = cells_.size() - 1;
      if (((i - wanted) & mask) >= ((i - hole) & mask)) {
        cells_[hole] = cells_[i];
        hole = i;
      }
    }
    cells_[hole].slot = none;
    --size_;
  }
  void clear() noexcept {
    entries_.clear();
    free_.clear();
    for (Cell& cell : cells_) cell.slot = none;
    size_ = 0;
  }

  [[nodiscard]] const K& key(std::uint32_t slot) const noexcept { return entries_[slot].key; }
  [[nodiscard]] V& operator[](std::uint32_t slot) noexcept { return entries_[slot].value; }
  [[nodiscard]] const V& operator[](std::uint32_t slot) const noexcept {
    return entries_[slot].value;
  }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
  /// Slots that have been given out, those of erased entries among them.
  [[nodiscard]] std::uint32_t slots() const noexcept {
    return static_cast<std::uint32_t>(entries_.size());
  }
  /// f(key, value) for every entry.
  template <class F>
  void for_each(F&& f) {
    for (const Cell& cell : cells_)
      if (cell.slot != none) f(std::as_const(entries_[cell.slot].key), entries_[cell.slot].value);
  }
  template <class F>
  void for_each(F&& f) const {
    for (const Cell& cell : cells_)
      if (cell.slot != none) f(entries_[cell.slot].key, entries_[cell.slot].value);
  }

 private:
  struct Entry {
    K key;
    V value;
  };
  struct Cell {
    std::uint32_t hash;
    std::uint32_t slot;
  };

  template <class Q>
  [[nodiscard]] static std::uint32_t hash_of(const Q& key) {
    std::uint64_t h = 0;
    if constexpr (std::convertible_to<const Q&, std::string_view>)
      h = std::hash<std::string_view>{}(key);
    else
      h = std::hash<K>{}(key);
    // std::hash of a number is often the number itself.
    return static_cast<std::uint32_t>((h * 0x9E3779B97F4A7C15U) >> 32);
  }
  [[nodiscard]] std::size_t home(std::uint32_t hash) const noexcept {
    return static_cast<std::size_t>(hash) >> shift_;
  }
  [[nodiscard]] std::size_t next(std::size_t i) const noexcept {
    return (i + 1) & (cells_.size() - 1);
  }
  [[nodiscard]] std::size_t cell_of(std::uint32_t slot) const {
    for (std::size_t i = home(hash_of(entries_[slot].key));; i = next(i))
      if (cells_[i].slot == slot) return i;
  }

  void grow() {
    std::vector<Cell> old(cells_.empty() ? 8 : 2 * cells_.size(), Cell{0, none});
    old.swap(cells_);
    shift_ = 32 - static_cast<unsigned>(std::bit_width(cells_.size()) - 1);
    for (const Cell& cell : old) {
      if (cell.slot == none) continue;
      std::size_t i = home(cell.hash);
      while (cells_[i].slot != none) i = next(i);
      cells_[i] = cell;
    }
  }

  std::vector<Entry> entries_;
  std::vector<std::uint32_t> free_;
  std::vector<Cell> cells_;
  std::size_t size_ = 0;
  unsigned shift_ = 0;
};

}  // namespace microbatch::inline v0_1::detail
