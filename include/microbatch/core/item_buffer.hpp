#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <utility>

#include "item_slots.hpp"
#include "memory.hpp"

namespace microbatch::inline v0_1::detail {

/// A contiguous run of items with their columns: appended at the back, taken from the front.
/// Pending items and windows live in one; a window that takes everything takes the buffer itself.
///
/// Threads: one at a time. Memory: that of the first items which it takes in; grows by doubling and
/// is kept, so a warm buffer allocates nothing.
///
/// `lost(slots, index)` is called for an item whose own move constructor threw; the item still
/// stands in `slots`, and is destroyed when `lost` returns.
template <class T>
class ItemBuffer {
 public:
  ItemBuffer() = default;
  ItemBuffer(ItemBuffer&& other) noexcept
      : slots_(std::move(other.slots_)),
        begin_(std::exchange(other.begin_, 0)),
        end_(std::exchange(other.end_, 0)) {}
  ItemBuffer& operator=(ItemBuffer&& other) noexcept {
    swap(other);
    return *this;
  }
  ~ItemBuffer() { clear(); }

  void swap(ItemBuffer& other) noexcept {
    std::swap(slots_, other.slots_);
    std::swap(begin_, other.begin_);
    std::swap(end_, other.end_);
  }

  [[nodiscard]] std::size_t size() const noexcept { return end_ - begin_; }
  [[nodiscard]] bool empty() const noexcept { return end_ == begin_; }
  [[nodiscard]] T* data() const noexcept { return slots_ ? slots_->at(begin_) : nullptr; }
  [[nodiscard]] T& operator[](std::size_t i) const noexcept { return *slots_->at(begin_ + i); }
  [[nodiscard]] ItemSlots<T>& slots() const noexcept { return *slots_; }
  /// Index within slots() of the i-th item.
  [[nodiscard]] std::size_t slot(std::size_t i) const noexcept { return begin_ + i; }

  /// Takes n items out of `from`, beginning at slot i. Returns whether items already here were lost
  /// on the way (their move threw while the buffer grew), which shifts what stood behind them.
  template <class Lost>
  bool append(ItemSlots<T>& from, std::size_t i, std::size_t n, Lost&& lost) {
    const bool shifted = reserve(size() + n, from.memory(), lost);
    take(from, i, n, lost);
    return shifted;
  }

  template <class Lost>
  bool append(ItemBuffer& from, std::size_t i, std::size_t n, Lost&& lost) {
    return append(*from.slots_, from.begin_ + i, n, lost);
  }
  /// append() of one item that has room and carries nothing. False where it is not as simple.
  [[nodiscard]] bool append_bare(ItemBuffer& from, std::size_t i) noexcept {
    if (slots_ == nullptr || end_ >= slots_->size() ||
        !ItemSlots<T>::relocate_bare(*from.slots_, from.begin_ + i, *slots_, end_))
      return false;
    ++end_;
    return true;
  }

  /// Appends copies of n items of `from`, beginning at its i-th. Where a copy throws, those before
  /// it are not here either.
  template <class Lost>
  void append_copies(const ItemBuffer& from, std::size_t i, std::size_t n, Lost&& lost)
    requires std::copy_constructible<T>
  {
    if (n == 0) return;
    reserve(size() + n, from.slots_->memory(), lost);
    ItemSlots<T>::copy(*from.slots_, from.begin_ + i, *slots_, end_, n);
    end_ += n;
  }

  /// Hints, for who appends soon.
  void fetch_slots() const noexcept { __builtin_prefetch(slots_.get()); }
  void fetch_end() const noexcept {
    if (slots_) __builtin_prefetch(slots_->at(end_), 1);
  }

  /// How many items fit without more memory, wherever they stand.
  [[nodiscard]] std::size_t capacity() const noexcept { return slots_ ? slots_->size() : 0; }

  /// Forgets the first n items, which have been moved out or destroyed by the caller.
  void forget_front(std::size_t n) noexcept {
    begin_ += n;
    if (begin_ == end_) begin_ = end_ = 0;
  }
  void forget_all() noexcept { begin_ = end_ = 0; }

  void clear() noexcept {
    if (slots_) slots_->destroy(begin_, size());
    begin_ = end_ = 0;
  }

 private:
  template <class Lost>
  void take(ItemSlots<T>& from, std::size_t i, std::size_t n, Lost&& lost) {
    while (n > 0) {
      const std::size_t moved = ItemSlots<T>::relocate(from, i, *slots_, end_, n);
      end_ += moved;
      i += moved;
      n -= moved;
      if (n == 0) return;
      lost(from, i);
      from.destroy(i, 1);
      ++i;
      --n;
    }
  }

  template <class Lost>
  bool reserve(std::size_t n, const Memory& memory, Lost&& lost) {
    if (slots_ && begin_ + n <= slots_->size()) return false;
    const std::size_t old = size();
    if (slots_ && n <= slots_->size() && begin_ >= old) {  // the front half is free: slide down
      const std::size_t from = std::exchange(begin_, 0);
      end_ = 0;
      take(*slots_, from, old, lost);
      return size() != old;
    }
    // Large enough to slide from now on: a queue that stays about as long comes to rest here.
    std::size_t size_wanted = std::bit_ceil(n);
    if (slots_) size_wanted = std::max(size_wanted, 2 * slots_->size());
    ItemBuffer grown;
    grown.slots_ = memory.make<ItemSlots<T>>(size_wanted);
    grown.take_all(*this, lost);
    swap(grown);
    return size() != old;
  }

  template <class Lost>
  void take_all(ItemBuffer& from, Lost&& lost) {
    if (!from.empty()) take(*from.slots_, from.begin_, from.size(), lost);
    from.forget_all();
  }

  Made<ItemSlots<T>> slots_;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
};

}  // namespace microbatch::inline v0_1::detail
