#pragma once

#include <malloc.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>

/// Operators new and delete of a test program's own: allocations and their bytes are counted, and
/// one of them can be made to fail. For programs of one source file, which includes this once.

// Under the address sanitizer: our operator new and the sanitizer's own delete meet in libraries.
extern "C" const char* __asan_default_options() { return "alloc_dealloc_mismatch=0"; }

namespace {

std::atomic<std::uint64_t> allocations{0};
/// What is allocated and not freed, as the C library rounds it up.
std::atomic<std::size_t> live_bytes{0};
/// The allocation of this number, counted from now, fails; 0: none does.
std::atomic<std::int64_t> fail_at{0};

void* allocate(std::size_t n, std::size_t alignment) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  if (fail_at.load(std::memory_order_relaxed) > 0 &&
      fail_at.fetch_sub(1, std::memory_order_relaxed) == 1)
    throw std::bad_alloc();
  void* p = alignment > __STDCPP_DEFAULT_NEW_ALIGNMENT__
                ? std::aligned_alloc(alignment, (n + alignment - 1) / alignment * alignment)
                : std::malloc(n == 0 ? 1 : n);
  if (p == nullptr) throw std::bad_alloc();
  live_bytes.fetch_add(malloc_usable_size(p), std::memory_order_relaxed);
  return p;
}

void give_back(void* p) noexcept {
  live_bytes.fetch_sub(malloc_usable_size(p), std::memory_order_relaxed);
  std::free(p);
}

}  // namespace

// noinline: g++ would otherwise see malloc meet delete in one function, and warn.
[[gnu::noinline]] void* operator new(std::size_t n) { return allocate(n, 0); }
[[gnu::noinline]] void* operator new(std::size_t n, std::align_val_t a) {
  return allocate(n, static_cast<std::size_t>(a));
}
[[gnu::noinline]] void operator delete(void* p) noexcept { give_back(p); }
[[gnu::noinline]] void operator delete(void* p, std::size_t) noexcept { give_back(p); }
[[gnu::noinline]] void operator delete(void* p, std::align_val_t) noexcept { give_back(p); }
[[gnu::noinline]] void operator delete(void* p, std::size_t, std::align_val_t) noexcept {
  give_back(p);
}
