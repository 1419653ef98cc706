// What does event time cost? Counts per tumbling window with 1 % late items, and counts per hopping
// window, beside the same loop written by hand; and what map and filter in front of a window cost.
// Every count is checked.

#include <benchmark/benchmark.h>

#include <chrono>
#include <cstdint>
#include <map>
#include <stdexcept>
#include <vector>

#include <microbatch/microbatch.hpp>

namespace {

using namespace std::chrono_literals;

constexpr std::int64_t items = 8'000'000;
constexpr std::int64_t per_second = 100'000;  // of event time
constexpr std::int64_t second = 1'000'000'000;

struct Item {
  std::int64_t nanoseconds;
  std::uint64_t value;
};
struct When {
  std::chrono::nanoseconds operator()(const Item& item) const noexcept {
    return std::chrono::nanoseconds(item.nanoseconds);
  }
};

/// In order but for 1 %, which come up to two seconds late.
const std::vector<Item>& late_items() {
  static const std::vector<Item> all = [] {
    std::vector<Item> made(items);
    std::uint64_t state = 1;
    for (std::int64_t i = 0; i < items; ++i) {
      state = state * 6364136223846793005U + 1442695040888963407U;
      std::int64_t t = 10 * second + i * (second / per_second);
      if ((state >> 33) % 100 == 0)
        t -= static_cast<std::int64_t>((state >> 40) % (2 * static_cast<std::uint64_t>(second)));
      made[static_cast<std::size_t>(i)] = {t, static_cast<std::uint64_t>(i)};
    }
    return made;
  }();
  return all;
}

void check(std::uint64_t counted) {
  if (counted != static_cast<std::uint64_t>(items))
    throw std::logic_error("items were lost or invented");
}

template <class E>
void through_a_stream(benchmark::State& state, E emitter) {
  const auto& all = late_items();
  for (auto _ : state) {
    std::uint64_t counted = 0;
    microbatch::Stream<Item> stream({.capacity = std::size_t{1} << 21});
    auto consumer = microbatch::streaming(
        stream, emitter, [&](microbatch::Window<Item>& window) { counted += window.size(); });
    {
      auto producer = stream.producer();
      for (const Item& item : all) producer.append(item);
    }
    consumer.close();
    check(counted);
  }
  state.SetItemsProcessed(state.iterations() * items);
}

void tumbling(benchmark::State& state) {
  through_a_stream(state, microbatch::TumblingWindow{
                              1s, When{}, {.out_of_orderness = 1s, .allowed_lateness = 10s}});
}

/// The same rules, one thread, no queue: a map of open windows, a watermark, late ones apart.
void tumbling_by_hand(benchmark::State& state) {
  const auto& all = late_items();
  for (auto _ : state) {
    std::uint64_t counted = 0;
    std::uint64_t late = 0;
    std::map<std::int64_t, std::uint64_t> open;
    std::int64_t newest = 0;
    for (const Item& item : all) {
      const std::int64_t cell = item.nanoseconds / second;
      if ((cell + 1) * second <= newest - second)
        ++late;
      else
        ++open[cell];
      if (item.nanoseconds > newest) {
        newest = item.nanoseconds;
        while (!open.empty() && (open.begin()->first + 1) * second <= newest - second) {
          counted += open.begin()->second;
          open.erase(open.begin());
        }
      }
    }
    for (const auto& [cell, count] : open) counted += count;
    check(counted + late);
  }
  state.SetItemsProcessed(state.iterations() * items);
}

/// Aggregated: one partial count per pane, whatever size / hop is.
void hopping(benchmark::State& state) {
  const auto& all = late_items();
  const std::int64_t hops = state.range(0);
  for (auto _ : state) {
    std::uint64_t counted = 0;
    auto flow = microbatch::from(all) |
                microbatch::window(microbatch::HoppingWindow{
                    std::chrono::seconds(hops), 1s, When{}, {.out_of_orderness = 2s}}) |
                microbatch::count() |
                microbatch::to([&](const auto& result) { counted += result.value; });
    flow.run({.stream = {.capacity = std::size_t{1} << 21}});
    check(counted / static_cast<std::uint64_t>(hops));
  }
  state.SetItemsProcessed(state.iterations() * items);
}

void map_and_filter(benchmark::State& state) {
  const auto& all = late_items();
  for (auto _ : state) {
    std::uint64_t counted = 0;
    auto flow =
        microbatch::from(all) | microbatch::map([](const Item& item) { return item.value * 2; }) |
        microbatch::filter([](std::uint64_t value) { return value % 4 == 0; }) |
        microbatch::window(microbatch::CountWindow{1024}) |
        microbatch::process([](std::span<const std::uint64_t> span) { return span.size(); }) |
        microbatch::to([&](std::size_t n) { counted += n; });
    flow.run();
    check(2 * counted);
  }
  state.SetItemsProcessed(state.iterations() * items);
}

void map_and_filter_by_hand(benchmark::State& state) {
  const auto& all = late_items();
  for (auto _ : state) {
    std::uint64_t counted = 0;
    microbatch::Stream<std::uint64_t> stream;
    auto consumer =
        microbatch::streaming(stream, microbatch::CountWindow{1024},
                              [&](std::span<const std::uint64_t> span) { counted += span.size(); });
    {
      auto producer = stream.producer();
      for (const Item& item : all) {
        const std::uint64_t value = item.value * 2;
        if (value % 4 == 0) producer.append(value);
      }
    }
    consumer.close();
    check(2 * counted);
  }
  state.SetItemsProcessed(state.iterations() * items);
}

BENCHMARK(tumbling)->UseRealTime()->Unit(benchmark::kMillisecond);
BENCHMARK(tumbling_by_hand)->UseRealTime()->Unit(benchmark::kMillisecond);
BENCHMARK(hopping)
    ->ArgName("size/hop")
    ->Arg(1)
    ->Arg(10)
    ->Arg(60)
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);
BENCHMARK(map_and_filter)->UseRealTime()->Unit(benchmark::kMillisecond);
BENCHMARK(map_and_filter_by_hand)->UseRealTime()->Unit(benchmark::kMillisecond);

}  // namespace

BENCHMARK_MAIN();
