#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "../core/atomic.hpp"
#include "../core/item_slots.hpp"
#include "../core/memory.hpp"

namespace microbatch::inline v0_1::detail {

/// A fixed run of slots of a lane. `next` is written by the producer before it publishes the first
/// item behind it, and read by the consumer after it has seen that item.
template <class T>
struct Chunk {
  Chunk(OwnBlock, std::size_t n, const Memory& memory) : slots(n, memory) {}
  [[nodiscard]] static constexpr std::size_t block_size(std::size_t) noexcept {
    return sizeof(Chunk);
  }
  [[nodiscard]] std::size_t size() const noexcept { return slots.size(); }
  [[nodiscard]] const Memory& memory() const noexcept { return slots.memory(); }

  ItemSlots<T> slots;
  Chunk* next = nullptr;
  std::uint32_t number = 0;        // in its pool, from 1
  Atomic<std::uint32_t> below{0};  // in the pool's stack: the number of the one under it
};

/// Slots per chunk: about 8 KiB, a power of two, and never more than an eighth of the capacity,
/// which bounds by how much `full` may come early.
template <class T>
[[nodiscard]] std::size_t chunk_slots(std::size_t capacity) noexcept {
  constexpr std::size_t bytes = 8192;
  const std::size_t by_size = std::clamp<std::size_t>(bytes / sizeof(T), 8, 1024);
  return std::bit_floor(std::max<std::size_t>(1, std::min(by_size, capacity / 8)));
}

/// The empty chunks of a stream: a lock-free stack, so that the last one used, which is still warm,
/// is the next one taken, and nobody waits for a thread that was put to sleep half way. (R. K.
/// Treiber: Coping with Parallelism, 1986; the number above the top's index is the tag against
/// reuse.)
///
/// Threads: any. Chunks live until clear(), so a number that was read is always a chunk.
template <class T>
class ChunkPool {
 public:
  explicit ChunkPool(std::size_t slots, const Memory& memory = {})
      : slots_(slots), memory_(memory) {}
  ChunkPool(const ChunkPool&) = delete;
  ChunkPool& operator=(const ChunkPool&) = delete;
  ~ChunkPool() { clear(); }

  /// The end of all chunks. Nobody else is here, or will be.
  void clear() noexcept {
    top_.store(0, std::memory_order_relaxed);
    for (std::size_t shelf = 0; shelf < shelves_.size(); ++shelf) {
      Cell* const cells = shelves_[shelf].load(std::memory_order_relaxed);
      if (cells == nullptr) continue;
      shelves_[shelf].store(nullptr, std::memory_order_relaxed);
      for (std::size_t i = 0; i < cells_on(shelf); ++i)
        Made<Chunk<T>>(cells[i].load(std::memory_order_relaxed)).reset();
      delete[] cells;
    }
  }

  /// Per chunk: a power of two.
  [[nodiscard]] std::size_t slots() const noexcept { return slots_; }
  /// Where a lane's position lies in its chunk.
  [[nodiscard]] std::size_t slot(std::uint64_t position) const noexcept {
    return static_cast<std::size_t>(position) & (slots_ - 1);
  }

  [[nodiscard]] Chunk<T>* take() {
    // acquire: with give(), the chunk's slots are ours, and `below` is what its giver wrote.
    std::uint64_t top = top_.load(std::memory_order_acquire);
    while (index(top) != 0) {
      Chunk<T>* chunk = cell(index(top)).load(std::memory_order_acquire);
      // relaxed: a stale value belongs to an older tag, and then the exchange fails.
      const std::uint64_t next = retag(top, chunk->below.load(std::memory_order_relaxed));
      if (top_.compare_exchange_weak(top, next, std::memory_order_acquire,
                                     std::memory_order_acquire)) {
        chunk->next = nullptr;
        return chunk;
      }
    }
    return make();
  }

  void give(Chunk<T>* chunk) noexcept {
    std::uint64_t top = top_.load(std::memory_order_relaxed);
    do {
      chunk->below.store(index(top), std::memory_order_relaxed);  // published by the exchange
      // release: what we read from and wrote to the slots is over for whoever takes it.
    } while (!top_.compare_exchange_weak(top, retag(top, chunk->number), std::memory_order_release,
                                         std::memory_order_relaxed));
  }

 private:
  using Cell = Atomic<Chunk<T>*>;

  static std::uint32_t index(std::uint64_t top) noexcept { return static_cast<std::uint32_t>(top); }
  static std::uint64_t retag(std::uint64_t top, std::uint32_t number) noexcept {
    return ((top >> 32) + 1) << 32 | number;
  }

  /// Chunk n has its place on shelf floor(log8(n)); shelves never move.
  static std::size_t shelf_of(std::uint32_t n) noexcept {
    return static_cast<std::size_t>(std::bit_width(n) - 1) / 3;
  }
  static std::uint32_t first_on(std::size_t shelf) noexcept {
    return std::uint32_t{1} << 3 * shelf;
  }
  static std::size_t cells_on(std::size_t shelf) noexcept { return std::size_t{7} << 3 * shelf; }
  Cell& cell(std::uint32_t n) noexcept {
    const std::size_t shelf = shelf_of(n);
    return shelves_[shelf].load(std::memory_order_acquire)[n - first_on(shelf)];
  }

  Chunk<T>* make() {
    auto chunk = memory_.make<Chunk<T>>(slots_);
    chunk->number = made_.fetch_add(1, std::memory_order_relaxed) + 1;
    const std::size_t shelf = shelf_of(chunk->number);
    if (shelves_[shelf].load(std::memory_order_acquire) == nullptr) {
      auto* fresh = new Cell[cells_on(shelf)]{};
      Cell* none = nullptr;
      if (!shelves_[shelf].compare_exchange_strong(none, fresh, std::memory_order_acq_rel,
                                                   std::memory_order_acquire))
        delete[] fresh;  // another one made it first
    }
    cell(chunk->number).store(chunk.get(), std::memory_order_release);
    return chunk.release();
  }

  const std::size_t slots_;
  const Memory memory_;
  Atomic<std::uint64_t> top_{0};  // tag << 32 | number of the chunk on top, 0 when empty
  Atomic<std::uint32_t> made_{0};
  std::array<Atomic<Cell*>, 11> shelves_{};
};

}  // namespace microbatch::inline v0_1::detail
