// by_key with many producers and workers.
//
// Allowed: any order between keys; windows of any size up to the limit.
// Forbidden: two windows of a key in callbacks at once; a producer's items of a key out of order;
// an item lost or delivered twice.

#include <microbatch/microbatch.hpp>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <vector>

#include "support/catch.hpp"
#include "support/stress.hpp"

using namespace microbatch;

namespace {

constexpr std::uint32_t producers = 3;
constexpr std::uint32_t keys = 7;

struct Item {
  std::uint32_t producer;
  std::uint32_t key;
  std::uint32_t number;
};

template <class E>
void run(E emitter) {
  const auto per_producer = static_cast<std::uint32_t>(stress::scaled(3000));
  ThreadPool pool(3);
  Stream<Item> stream({.capacity = 512});
  std::array<std::atomic<int>, keys> inside{};
  std::array<std::array<std::uint32_t, producers>, keys> last{};  // by whoever is inside
  std::atomic<std::uint64_t> delivered{0};
  std::atomic<int> wrong{0};
  auto consumer = streaming(stream, std::move(emitter),
                            [&](Window<Item>& window) {
                              const std::uint32_t key = window.key<std::uint32_t>();
                              if (inside[key].fetch_add(1) != 0) ++wrong;
                              for (const Item& item : window) {
                                if (item.key != key || item.number <= last[key][item.producer])
                                  ++wrong;
                                last[key][item.producer] = item.number;
                              }
                              delivered += window.size();
                              inside[key].fetch_sub(1);
                            },
                            {.executor = pool, .order = Order::unordered});
  {
    stress::Threads threads(producers, [&](std::uint32_t p) {
      auto producer = stream.producer();
      for (std::uint32_t i = 1; i <= per_producer; ++i)
        (void)producer.append(Item{p, (i * 31 + p) % keys, i});
    });
  }
  const auto end = consumer.close();
  CHECK(wrong == 0);
  CHECK(delivered == std::uint64_t{producers} * per_producer);
  CHECK(end.delivered == delivered);
  CHECK(consumer.stats().balances());
}

std::uint32_t key_of(const Item& item) { return item.key; }

}  // namespace

TEST_CASE("by_key: order and exclusion per key, by count and age", "[stress]") {
  run(by_key(key_of, any_of(CountWindow{16}, MaxAgeWindow{std::chrono::milliseconds(1)})));
}

TEST_CASE("by_key: order and exclusion per key, opportunistic", "[stress]") {
  run(by_key(key_of, any_of(OpportunisticWindow{}, CountWindow{8})));
}

TEST_CASE("by_key: order and exclusion per key, by event time", "[stress]") {
  const auto when = [](const Item& item) { return std::chrono::milliseconds(item.number); };
  EventTimeOptions rules{.out_of_orderness = std::chrono::hours(1)};
  run(by_key(key_of, TumblingWindow{std::chrono::milliseconds(100), when, rules}));
}
