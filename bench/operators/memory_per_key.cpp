// With an item of each of many keys pending: the memory beyond the keys and the items. And the
// processor time of a window that closes beside so many keys that are not in it.

#include <fmt/format.h>
#include <malloc.h>

#include <chrono>
#include <cstdint>

#include <microbatch/microbatch.hpp>
#include <microbatch/testing/manual_clock.hpp>

#include "comparison.hpp"

namespace {

using namespace std::chrono_literals;
using namespace microbatch;

struct Item {
  std::uint64_t key;
  std::uint64_t second;
};
struct When {
  std::chrono::seconds operator()(const Item& item) const noexcept {
    return std::chrono::seconds(item.second);
  }
};
constexpr EventTimeOptions rules{.allowed_lateness = 24h};

double heap() {
  const auto info = mallinfo2();
  return static_cast<double>(info.uordblks + info.hblkhd);
}

struct Result {
  double bytes;    // per key
  double closing;  // ns per window
};

/// A key's window of its own closes with its n-th item, which is of that second.
template <class E>
Result measure(std::size_t keys, const E& emitter, std::uint64_t second, int n) {
  testing::ManualClock clock;
  Stream<Item> stream({.capacity = std::size_t{1} << 21, .clock = clock});
  std::uint64_t windows = 0;
  Engine<Item> engine(stream, by_key(&Item::key, emitter), [&](Window<Item>&) { ++windows; });
  const double before = heap();
  auto producer = stream.producer();
  for (std::uint64_t key = 0; key < keys; ++key) {
    producer.append(Item{key, 100'000});
    if (key % 1024 == 0) engine.step(clock.now());
  }
  engine.step(clock.now());
  const double bytes = (heap() - before) / static_cast<double>(keys);

  constexpr int closings = 2000;
  const double start = bench::seconds_of(CLOCK_THREAD_CPUTIME_ID);
  for (int i = 0; i < closings; ++i) {
    for (int k = 0; k < n; ++k) producer.append(Item{keys + 1, second});
    engine.step(clock.now());
  }
  const double took = bench::seconds_of(CLOCK_THREAD_CPUTIME_ID) - start;
  bench::check(windows == closings);
  (void)engine.stop();
  return {bytes - sizeof(std::uint64_t) - sizeof(Item), took * 1e9 / closings};
}

template <class E>
void row(const char* name, std::size_t keys, const E& emitter, std::uint64_t second, int n) {
  const Result few = measure(keys / 1000, emitter, second, n);
  const Result many = measure(keys, emitter, second, n);
  fmt::print("{:<34}{:>12.0f}{:>16.0f}{:>16.0f}\n", name, many.bytes, few.closing, many.closing);
}

}  // namespace

void bench::memory_per_key(std::size_t keys) {
  fmt::print(
      "\n{} keys with an item each: bytes per key beyond the key and the item; ns for a\n"
      "window that closes beside a thousandth of them, and beside all of them\n",
      keys);
  fmt::print("{:<34}{:>12}{:>16}{:>16}\n", "by_key(key, ...)", "bytes", "beside few", "beside all");
  row("CountWindow", keys, CountWindow{2}, 100'000, 2);
  row("any_of(CountWindow, MaxAgeWindow)", keys, any_of(CountWindow{2}, MaxAgeWindow{1min}),
      100'000, 2);
  row("TumblingWindow", keys, TumblingWindow{1min, When{}, rules}, 99'000, 1);
  row("HoppingWindow", keys, HoppingWindow{1min, 10s, When{}, rules}, 99'000, 1);
  row("SessionWindow", keys, SessionWindow{1min, When{}, rules}, 99'000, 1);
}
