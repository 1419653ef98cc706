#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory_resource>
#include <mutex>
#include <new>

namespace test {

/// A memory resource that knows what it has given out, and can be made to fail. A block is aligned
/// as it was asked for, and not by more. Any threads.
class CountingResource : public std::pmr::memory_resource {
 public:
  /// Allocations so far.
  [[nodiscard]] std::uint64_t allocations() const {
    const std::lock_guard lock(mutex_);
    return allocations_;
  }
  /// Blocks and bytes that have not come back.
  [[nodiscard]] std::size_t blocks() const {
    const std::lock_guard lock(mutex_);
    return blocks_.size();
  }
  [[nodiscard]] std::size_t bytes() const {
    const std::lock_guard lock(mutex_);
    std::size_t sum = 0;
    for (const auto& [at, block] : blocks_) sum += block.bytes;
    return sum;
  }
  /// The n bytes there lie in one of the blocks.
  [[nodiscard]] bool holds(const void* at, std::size_t n) const {
    const std::lock_guard lock(mutex_);
    const auto* const p = static_cast<const std::byte*>(at);
    auto next = blocks_.upper_bound(p);
    if (next == blocks_.begin()) return false;
    const auto& [begin, block] = *--next;
    return !std::less<>{}(begin + block.bytes, p + n);
  }
  /// A block came back with another size or alignment than it was given out with.
  [[nodiscard]] bool confused() const {
    const std::lock_guard lock(mutex_);
    return confused_;
  }

  /// The n-th allocation from now on fails; 0: none does.
  void fail_at(std::uint64_t n) {
    const std::lock_guard lock(mutex_);
    fail_at_ = n;
  }

 private:
  struct Block {
    std::size_t bytes;
    std::size_t alignment;
  };

  void* do_allocate(std::size_t bytes, std::size_t alignment) override {
    const std::lock_guard lock(mutex_);
    ++allocations_;
    if (fail_at_ > 0 && --fail_at_ == 0) throw std::bad_alloc();
    void* const raw = ::operator new(bytes + alignment, std::align_val_t{2 * alignment});
    std::byte* const at = static_cast<std::byte*>(raw) + alignment;
    blocks_[at] = {bytes, alignment};
    return at;
  }
  void do_deallocate(void* at, std::size_t bytes, std::size_t alignment) override {
    const std::lock_guard lock(mutex_);
    const auto found = blocks_.find(static_cast<std::byte*>(at));
    if (found == blocks_.end() || found->second.bytes != bytes ||
        found->second.alignment != alignment) {
      confused_ = true;
      return;
    }
    blocks_.erase(found);
    ::operator delete(static_cast<std::byte*>(at) - alignment, std::align_val_t{2 * alignment});
  }
  bool do_is_equal(const std::pmr::memory_resource& other) const noexcept override {
    return this == &other;
  }

  mutable std::mutex mutex_;
  std::map<const std::byte*, Block> blocks_;
  std::uint64_t allocations_ = 0;
  std::uint64_t fail_at_ = 0;
  bool confused_ = false;
};

}  // namespace test
