#pragma once

#include <cstddef>
#include <memory>
#include <memory_resource>
#include <new>

namespace microbatch::inline v0_1::detail {

/// Says to a constructor that its object stands in a block of memory of its own.
struct OwnBlock {};

/// Ends what Memory::make() made.
struct Discard {
  template <class U>
  void operator()(U* made) const noexcept {
    const auto memory = made->memory();
    const std::size_t bytes = U::block_size(made->size());
    made->~U();
    memory.deallocate(made, bytes, alignof(U));
  }
};
template <class U>
using Made = std::unique_ptr<U, Discard>;

/// Where the items of a stream lie: the user's memory resource, or operator new where there is
/// none. It goes where items go: who takes items in takes their memory over.
///
/// Threads: any, as far as the resource allows it.
class Memory {
 public:
  Memory() noexcept = default;
  explicit Memory(std::pmr::memory_resource* resource) noexcept : resource_(resource) {}

  [[nodiscard]] void* allocate(std::size_t bytes, std::size_t alignment) const {
    if (resource_ != nullptr) return resource_->allocate(bytes, alignment);
    if (alignment > __STDCPP_DEFAULT_NEW_ALIGNMENT__)
      return ::operator new(bytes, std::align_val_t{alignment});
    return ::operator new(bytes);
  }
  void deallocate(void* at, std::size_t bytes, std::size_t alignment) const noexcept {
    if (resource_ != nullptr) return resource_->deallocate(at, bytes, alignment);
    if (alignment > __STDCPP_DEFAULT_NEW_ALIGNMENT__)
      return ::operator delete(at, std::align_val_t{alignment});
    ::operator delete(at);
  }

  /// A U of n, in a block of U::block_size(n), which tells its size() and memory().
  template <class U>
  [[nodiscard]] Made<U> make(std::size_t n) const {
    const std::size_t bytes = U::block_size(n);
    void* const at = allocate(bytes, alignof(U));
    try {
      return Made<U>(::new (at) U(OwnBlock{}, n, *this));
    } catch (...) {
      deallocate(at, bytes, alignof(U));
      throw;
    }
  }

 private:
  std::pmr::memory_resource* resource_ = nullptr;
};

}  // namespace microbatch::inline v0_1::detail
