// Thousands of threads, each of which appends a few items and ends.
//
// Allowed:   any interleaving of the threads' items; a thread's lane used again by a later thread.
// Forbidden: an item lost, doubled or out of its producer's order; more lanes than there ever were
//            threads at one time; memory that grows with the number of threads.

#include "support/catch.hpp"
#include "support/ledger_checker.hpp"
#include "support/stress.hpp"

#include <microbatch/microbatch.hpp>

#include <atomic>

using namespace microbatch;
using ledger::Entry;

namespace {

void run_generations(Stream<Entry>& stream, std::size_t generations, std::size_t at_once,
                     std::uint64_t each, bool own_handle) {
  for (std::size_t g = 0; g < generations; ++g) {
    const stress::Threads threads(at_once, [&](std::uint32_t i) {
      const auto me = static_cast<std::uint32_t>(g * at_once + i);
      if (own_handle) {
        auto producer = stream.producer();
        for (std::uint64_t s = 0; s < each; ++s) (void)producer.append(Entry::make(me, s));
      } else {
        for (std::uint64_t s = 0; s < each; ++s) (void)stream.append(Entry::make(me, s));
      }
    });
  }
}

}  // namespace

TEST_CASE("nothing is lost when thousands of producer threads come and go", "[stress]") {
  const bool own_handle = GENERATE(false, true);
  const std::size_t generations = stress::scaled(250);
  constexpr std::size_t at_once = 8;
  constexpr std::uint64_t each = 9;

  ledger::Recorder recorder;
  Stream<Entry> stream({.capacity = 256});
  auto consumer = streaming(stream, CountWindow{50}, [&](Window<Entry>& window) {
    recorder.succeeded(recorder.begin(window));
  });
  run_generations(stream, generations, at_once, each, own_handle);
  consumer.close();

  recorder.accepted(std::vector<std::uint64_t>(generations * at_once, each));
  CHECK(ledger::check(recorder.record(), {.count = 50, .at_most = 50}, consumer.stats()) == "");
}

namespace {

/// Allocations of this type's chunks are counted: the memory a stream holds.
struct Big {
  alignas(64) std::byte payload[4096];
  Big() { ++alive; }
  Big(Big&&) noexcept { ++alive; }
  ~Big() { --alive; }
  static inline std::atomic<std::int64_t> alive{0};
  static inline std::atomic<std::int64_t> blocks{0};
};

}  // namespace

// ItemSlots allocates with an alignment: so few others do that counting these counts chunks.
[[gnu::noinline]] void* operator new(std::size_t n, std::align_val_t alignment) {
  if (n >= sizeof(Big)) Big::blocks.fetch_add(1, std::memory_order_relaxed);
  if (void* p = std::aligned_alloc(static_cast<std::size_t>(alignment),
                                   (n + static_cast<std::size_t>(alignment) - 1) &
                                       ~(static_cast<std::size_t>(alignment) - 1)))
    return p;
  throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* p, std::align_val_t) noexcept { std::free(p); }
[[gnu::noinline]] void operator delete(void* p, std::size_t, std::align_val_t) noexcept {
  std::free(p);
}

TEST_CASE("the memory of a stream does not grow with the number of threads that used it",
          "[stress]") {
  Stream<Big> stream({.capacity = 64});
  auto consumer = streaming(stream, CountWindow{8}, [](Window<Big>&) {});
  const auto generation = [&] {
    const stress::Threads threads(4, [&](std::uint32_t) {
      for (int i = 0; i < 5; ++i) (void)stream.append(Big());
    });
  };
  for (int g = 0; g < 50; ++g) generation();
  const auto warm = Big::blocks.load();
  const std::size_t generations = stress::scaled(200);
  for (std::size_t g = 0; g < generations; ++g) generation();
  // A chunk is made where the pool's lock is taken just then; that is rare and not per thread.
  CHECK(Big::blocks.load() - warm < static_cast<std::int64_t>(generations) / 4 + 16);
  consumer.close();
  CHECK(consumer.stats().delivered == (50 + generations) * 20);
  CHECK(Big::alive == 0);
}
