#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <memory>
#include <mutex>
#include <vector>

#include "../core/item_slots.hpp"

namespace microbatch::detail {

/// A fixed run of slots of a lane. `next` is written by the producer before it publishes the first
/// item behind it, and read by the consumer after it has seen that item.
template <class T>
struct Chunk {
  explicit Chunk(std::size_t n) : slots(n) {}
  ItemSlots<T> slots;
  Chunk* next = nullptr;
};

/// Slots per chunk: about 8 KiB, a power of two, and never more than an eighth of the capacity,
/// which bounds by how much `full` may come early.
template <class T>
[[nodiscard]] std::size_t chunk_slots(std::size_t capacity) noexcept {
  constexpr std::size_t bytes = 8192;
  const std::size_t by_size = std::clamp<std::size_t>(bytes / sizeof(T), 8, 1024);
  return std::bit_floor(std::max<std::size_t>(1, std::min(by_size, capacity / 8)));
}

/// Empty chunks of a stream, the last one in the first one out, so that they stay warm.
///
/// Threads: any; nobody ever waits: where the lock is taken a producer allocates and a consumer
/// frees.
template <class T>
class ChunkPool {
 public:
  explicit ChunkPool(std::size_t slots) : slots_(slots) {}
  ChunkPool(const ChunkPool&) = delete;
  ChunkPool& operator=(const ChunkPool&) = delete;
  ~ChunkPool() {
    for (Chunk<T>* chunk : spare_) delete chunk;
  }

  [[nodiscard]] std::size_t slots() const noexcept { return slots_; }

  [[nodiscard]] Chunk<T>* take() {
    if (std::unique_lock lock(mutex_, std::try_to_lock); lock && !spare_.empty()) {
      Chunk<T>* chunk = spare_.back();
      spare_.pop_back();
      chunk->next = nullptr;
      return chunk;
    }
    return new Chunk<T>(slots_);
  }

  void give(Chunk<T>* chunk) noexcept {
    if (std::unique_lock lock(mutex_, std::try_to_lock); lock) {
      try {
        spare_.push_back(chunk);
        return;
      } catch (...) {  // no memory for the list: the chunk itself goes
      }
    }
    delete chunk;
  }

 private:
  const std::size_t slots_;
  Mutex mutex_;
  std::vector<Chunk<T>*> spare_;
};

}  // namespace microbatch::detail
