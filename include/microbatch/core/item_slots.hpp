#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <exception>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>

#include "acknowledgement.hpp"
#include "atomic.hpp"
#include "cache_line.hpp"
#include "clock.hpp"
#include "item.hpp"
#include "memory.hpp"

namespace microbatch::inline v0_1::detail {

/// One property of each item, kept beside the items and only where somebody uses it: an absent
/// column costs a null pointer.
///
/// Threads: in a lane the producer creates the column while the consumer may be reading earlier
/// items, which have none, whether it sees the column already (blank cells) or not yet (null).
template <class E>
class Column {
  static_assert(std::is_trivially_destructible_v<E>);

 public:
  Column() = default;
  Column(const Column&) = delete;
  Column& operator=(const Column&) = delete;

  // acquire: a consumer that moves earlier items may be the first to see the column, made by now.
  [[nodiscard]] E* get() const noexcept { return cells_.load(std::memory_order_acquire); }
  void ensure(std::size_t n, const Memory& memory) {
    if (get() != nullptr) return;
    auto* const cells = static_cast<E*>(memory.allocate(n * sizeof(E), alignof(E)));
    std::uninitialized_value_construct_n(cells, n);
    cells_.store(cells, std::memory_order_release);  // with get()
  }
  /// The end of a column of n.
  void discard(std::size_t n, const Memory& memory) const noexcept {
    if (get() != nullptr) memory.deallocate(get(), n * sizeof(E), alignof(E));
  }

 private:
  Atomic<E*> cells_{nullptr};
};

/// Room for n items and their columns, without knowing which of them exist. A lane's chunk, the
/// pending items and a window are all made of it, so items travel between them by block moves.
template <class T>
class alignas(void*) alignas(std::min<std::size_t>(alignof(T),
                                                   __STDCPP_DEFAULT_NEW_ALIGNMENT__)) ItemSlots {
 public:
  explicit ItemSlots(std::size_t n, const Memory& memory = {})
      : memory_(memory), items_(allocate(n, memory)), size_(n) {}
  /// In a block of their own: what is not padded lies behind them.
  ItemSlots(OwnBlock, std::size_t n, const Memory& memory)
      : memory_(memory), items_(padded(n) ? allocate(n, memory) : behind()), size_(n) {}
  /// The size of that block.
  [[nodiscard]] static constexpr std::size_t block_size(std::size_t n) noexcept {
    return padded(n) ? sizeof(ItemSlots) : header() + n * sizeof(T);
  }
  ItemSlots(const ItemSlots&) = delete;
  ItemSlots& operator=(const ItemSlots&) = delete;
  ~ItemSlots() {
    stamps.discard(size_, memory_);
    weights.discard(size_, memory_);
    origins.discard(size_, memory_);
    acks.discard(size_, memory_);
    if (padded(size_) || items_ != behind())
      memory_.deallocate(items_, size_ * sizeof(T), alignment(size_));
  }

  [[nodiscard]] const Memory& memory() const noexcept { return memory_; }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] T* at(std::size_t i) const noexcept { return items_ + i; }

  [[nodiscard]] TimePoint stamp(std::size_t i) const noexcept { return cell(stamps, i); }
  [[nodiscard]] std::uint64_t weight(std::size_t i) const noexcept { return cell(weights, i); }
  [[nodiscard]] AckState* ack(std::size_t i) const noexcept { return cell(acks, i); }

  template <class E>
  void set(Column<E>& column, std::size_t i, E value) {
    ensure(column);
    column.get()[i] = value;
  }

  template <class E>
  void ensure(Column<E>& column) {
    column.ensure(size_, memory_);
  }

  [[nodiscard]] Origin origin(std::size_t i) const noexcept { return cell(origins, i); }
  void set_origins(std::size_t i, const Origin* from, std::size_t n) {
    ensure(origins);
    std::copy_n(from, n, origins.get() + i);
  }

  /// What these slots said of items that are gone.
  void blank(std::size_t i, std::size_t n) noexcept {
    blank_cells(weights, i, n);
    blank_cells(origins, i, n);
    blank_cells(acks, i, n);
  }

  void destroy(std::size_t i, std::size_t n) noexcept {
    if constexpr (!std::is_trivially_destructible_v<T>) std::destroy_n(items_ + i, n);
  }

  /// Copies n items with their stamps; whatever else they carry stays with the originals. Where a
  /// copy throws, `to` is as before.
  static void copy(const ItemSlots& from, std::size_t i, ItemSlots& to, std::size_t j,
                   std::size_t n)
    requires std::copy_constructible<T>
  {
    if (from.stamps.get() != nullptr) to.ensure(to.stamps);
    std::uninitialized_copy_n(from.items_ + i, n, to.items_ + j);
    move_cells(from.stamps, i, to.stamps, j, n);
    to.blank(j, n);
  }

  /// Moves n items with their columns; source slots end up empty. Returns how many were moved:
  /// fewer than n only where T's move threw, and then that item still stands in `from`.
  static std::size_t relocate(ItemSlots& from, std::size_t i, ItemSlots& to, std::size_t j,
                              std::size_t n) {
    if (from.is_bare() && to.is_bare()) return move_items(from.items_ + i, to.items_ + j, n);
    to.prepare(from);
    const std::size_t moved = move_items(from.items_ + i, to.items_ + j, n);
    move_cells(from.stamps, i, to.stamps, j, moved);
    move_cells(from.weights, i, to.weights, j, moved);
    move_cells(from.origins, i, to.origins, j, moved);
    move_cells(from.acks, i, to.acks, j, moved);
    from.blank(i, moved);
    return moved;
  }

  /// relocate() of one item that carries nothing, where that cannot fail: false, and nothing has
  /// happened, if this is not such a case.
  static bool relocate_bare(ItemSlots& from, std::size_t i, ItemSlots& to, std::size_t j) noexcept {
    if constexpr (std::is_trivially_copyable_v<T> || std::is_nothrow_move_constructible_v<T>) {
      if (!from.is_bare() || !to.is_bare()) return false;
      (void)move_items(from.items_ + i, to.items_ + j, 1);
      return true;
    } else {
      return false;
    }
  }

  Column<TimePoint> stamps;
  Column<std::uint64_t> weights;
  Column<Origin> origins;
  Column<AckState*> acks;

 private:
  /// Bytes before the items that lie in one block with their slots.
  [[nodiscard]] static constexpr std::size_t header() noexcept {
    return (sizeof(ItemSlots) + alignof(T) - 1) / alignof(T) * alignof(T);
  }
  [[nodiscard]] T* behind() noexcept {
    return reinterpret_cast<T*>(reinterpret_cast<std::byte*>(this) + header());
  }
  /// What fits into a cache line is not padded to one: there may be a million such slots.
  [[nodiscard]] static constexpr bool padded(std::size_t n) noexcept {
    return n * sizeof(T) > cache_line || alignof(T) > __STDCPP_DEFAULT_NEW_ALIGNMENT__;
  }
  [[nodiscard]] static constexpr std::size_t alignment(std::size_t n) noexcept {
    return padded(n) ? std::max(alignof(T), cache_line) : alignof(T);
  }
  [[nodiscard]] static T* allocate(std::size_t n, const Memory& memory) {
    return static_cast<T*>(memory.allocate(n * sizeof(T), alignment(n)));
  }

  template <class E>
  [[nodiscard]] static E cell(const Column<E>& column, std::size_t i) noexcept {
    const E* cells = column.get();
    return cells == nullptr ? E{} : cells[i];
  }

  /// Items without any columns.
  [[nodiscard]] bool is_bare() const noexcept {
    return (address(stamps) | address(weights) | address(origins) | address(acks)) == 0;
  }
  template <class E>
  [[nodiscard]] static std::uintptr_t address(const Column<E>& column) noexcept {
    return reinterpret_cast<std::uintptr_t>(column.get());
  }
  /// All allocation first, so that running out of memory leaves every item where it was.
  void prepare(const ItemSlots& from) {
    if (from.stamps.get() != nullptr) ensure(stamps);
    if (from.weights.get() != nullptr) ensure(weights);
    if (from.origins.get() != nullptr) ensure(origins);
    if (from.acks.get() != nullptr) ensure(acks);
  }

  static std::size_t move_items(T* from, T* to, std::size_t n) noexcept {
    if constexpr (std::is_trivially_copyable_v<T>) {
      if (n == 1)  // a copy of known size
        std::memcpy(static_cast<void*>(to), static_cast<const void*>(from), sizeof(T));
      else
        std::memcpy(static_cast<void*>(to), static_cast<const void*>(from), n * sizeof(T));
      return n;
    } else if constexpr (std::is_nothrow_move_constructible_v<T>) {
      for (std::size_t k = 0; k < n; ++k) {
        ::new (static_cast<void*>(to + k)) T(std::move(from[k]));
        from[k].~T();
      }
      return n;
    } else {
      for (std::size_t k = 0; k < n; ++k) {
        try {
          ::new (static_cast<void*>(to + k)) T(std::move(from[k]));
        } catch (...) {
          return k;
        }
        from[k].~T();
      }
      return n;
    }
  }

  template <class E>
  static void move_cells(const Column<E>& from, std::size_t i, Column<E>& to, std::size_t j,
                         std::size_t n) noexcept {
    E* target = to.get();
    if (target == nullptr || n == 0) return;
    const E* source = from.get();
    if (source != nullptr)
      std::copy_n(source + i, n, target + j);
    else
      std::fill_n(target + j, n, E{});
  }

  template <class E>
  static void blank_cells(const Column<E>& column, std::size_t i, std::size_t n) noexcept {
    if (E* cells = column.get(); cells != nullptr) std::fill_n(cells + i, n, E{});
  }

  const Memory memory_;
  T* const items_;
  const std::size_t size_;
};

}  // namespace microbatch::inline v0_1::detail
