// How many items a second do keyed count windows of 1024 with a sum take, as a flow and as windows
// whose callback sums, beside a hash map on one thread that sums as they come? Every sum is
// checked.

#include <benchmark/benchmark.h>

#include <cstdint>
#include <memory>
#include <stdexcept>
#include <unordered_map>
#include <vector>

#include <microbatch/microbatch.hpp>

namespace {

constexpr std::size_t window = 1024;
constexpr std::uint64_t items = 8'000'000;

struct Item {
  std::uint64_t key;
  std::uint64_t value;
};

/// Keys in no order, so that nothing can be guessed from the one before.
std::vector<Item> make_items(std::uint64_t keys) {
  std::vector<Item> all(items);
  std::uint64_t state = 1;
  for (std::uint64_t i = 0; i < items; ++i) {
    state = state * 6364136223846793005U + 1442695040888963407U;
    all[i] = {(state >> 33) % keys, i};
  }
  return all;
}

void check(std::uint64_t total) {
  if (total != items * (items - 1) / 2) throw std::logic_error("items were lost or invented");
}

void by_key(benchmark::State& state) {
  const std::vector<Item> all = make_items(static_cast<std::uint64_t>(state.range(0)));
  for (auto _ : state) {
    std::uint64_t total = 0;
    microbatch::Stream<Item> stream({.capacity = std::size_t{1} << 21});
    auto consumer = microbatch::streaming(
        stream, microbatch::by_key(&Item::key, microbatch::CountWindow{window}),
        [&](std::span<const Item> span) {
          std::uint64_t sum = 0;
          for (const Item& item : span) sum += item.value;
          total += sum;
        });
    {
      auto producer = stream.producer();
      for (const Item& item : all) producer.append(item);
    }
    consumer.close();
    check(total);
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(items));
}

/// As a flow: what can be added up as it comes is not kept.
void flow_by_key(benchmark::State& state) {
  const std::vector<Item> all = make_items(static_cast<std::uint64_t>(state.range(0)));
  for (auto _ : state) {
    std::uint64_t total = 0;
    auto flow = microbatch::from(all) | microbatch::by_key(&Item::key) |
                microbatch::window(microbatch::CountWindow{window}) |
                microbatch::sum(&Item::value) |
                microbatch::to([&](const auto& result) { total += result.value; });
    flow.run();
    check(total);
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(items));
}

void hash_map_by_hand(benchmark::State& state) {
  const std::vector<Item> all = make_items(static_cast<std::uint64_t>(state.range(0)));
  for (auto _ : state) {
    struct Open {
      std::uint64_t sum = 0;
      std::size_t count = 0;
    };
    std::uint64_t total = 0;
    std::unordered_map<std::uint64_t, Open> open;
    for (const Item& item : all) {
      Open& mine = open[item.key];
      mine.sum += item.value;
      if (++mine.count == window) {
        total += mine.sum;
        mine = {};
      }
    }
    for (const auto& [key, mine] : open) total += mine.sum;
    check(total);
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(items));
}

void settings(benchmark::internal::Benchmark* b) {
  b->ArgName("keys")->Arg(1)->Arg(1000)->UseRealTime()->Unit(benchmark::kMillisecond);
}

BENCHMARK(flow_by_key)->Apply(settings);
BENCHMARK(by_key)->Apply(settings);
BENCHMARK(hash_map_by_hand)->Apply(settings);

}  // namespace

BENCHMARK_MAIN();
