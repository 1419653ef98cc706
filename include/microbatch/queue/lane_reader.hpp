#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "../core/atomic.hpp"
#include "../core/backlog.hpp"
#include "../core/clock.hpp"
#include "../core/item_slots.hpp"
#include "chunk.hpp"

namespace microbatch::inline v0_1::detail {

/// The consumer's end of a lane: takes items out of its chain of chunks, in their order, and gives
/// chunks that were read back to the pool. What is published is said by the lane's tail, which the
/// caller has read.
///
/// Threads: whoever holds the stream's token; start() by the lane's producer, before it publishes
/// the first item.
template <class T>
class alignas(cache_line) LaneReader {
 public:
  explicit LaneReader(ChunkPool<T>& chunks) noexcept : chunks_(chunks) {}
  LaneReader(const LaneReader&) = delete;
  LaneReader& operator=(const LaneReader&) = delete;

  void start(Chunk<T>* first) noexcept { first_ = first; }

  /// The position of the front item, or of the next one to come.
  [[nodiscard]] std::uint64_t head() const noexcept { return head_; }

  // Only where an item is published at head().

  [[nodiscard]] TimePoint front_stamp() noexcept {
    return chunk().slots.stamp(chunks_.slot(head_));
  }
  /// The slot of the front item, for those who settle it in place; then pop().
  struct Front {
    ItemSlots<T>& slots;
    std::size_t slot;
  };
  [[nodiscard]] Front front() noexcept { return {chunk().slots, chunks_.slot(head_)}; }
  void pop() noexcept {
    auto [slots, slot] = front();
    slots.destroy(slot, 1);
    slots.blank(slot, 1);
    ++head_;
  }

  /// Moves up to n items published below `tail`, and stamped before `before`, into the backlog;
  /// `taken` counts them as they go, also where memory runs out on the way.
  std::size_t sweep(Backlog<T>& into, std::uint64_t tail, std::size_t n, TimePoint before,
                    std::uint64_t& taken) {
    std::size_t swept = 0;
    while (head_ < tail && swept < n) {
      ItemSlots<T>& slots = chunk().slots;
      const std::size_t slot = chunks_.slot(head_);
      std::size_t run =
          std::min({n - swept, static_cast<std::size_t>(tail - head_), chunks_.slots() - slot});
      if (before != never) run = earlier(slots, slot, run, before);
      if (run == 0) break;
      into.take_in(slots, slot, run);
      head_ += run;
      taken += run;
      swept += run;
    }
    return swept;
  }

  /// The lane's end: destroys what is left below `tail`, and gives all chunks back.
  void drop_all(std::uint64_t tail) noexcept {
    while (head_ < tail) pop();
    for (Chunk<T>* chunk = read_ != nullptr ? read_ : first_; chunk != nullptr;)
      chunks_.give(std::exchange(chunk, chunk->next));
    first_ = read_ = nullptr;
  }

 private:
  /// The chunk in which head_ stands; the one before it goes back to the pool.
  [[nodiscard]] Chunk<T>& chunk() noexcept {
    if (read_ == nullptr) {
      read_ = first_;
      end_ = chunks_.slots();
    } else if (head_ == end_) {
      Chunk<T>* next = read_->next;
      chunks_.give(read_);
      read_ = next;
      end_ += chunks_.slots();
    }
    return *read_;
  }

  [[nodiscard]] static std::size_t earlier(ItemSlots<T>& slots, std::size_t slot, std::size_t n,
                                           TimePoint before) noexcept {
    const TimePoint* stamps = slots.stamps.get();
    if (stamps == nullptr) return n;
    return static_cast<std::size_t>(std::lower_bound(stamps + slot, stamps + slot + n, before) -
                                    (stamps + slot));
  }

  ChunkPool<T>& chunks_;
  Chunk<T>* first_ = nullptr;  // published by the first item's tail
  Chunk<T>* read_ = nullptr;
  std::uint64_t head_ = 0;
  std::uint64_t end_ = 0;  // the position behind read_'s last slot
};

}  // namespace microbatch::inline v0_1::detail
