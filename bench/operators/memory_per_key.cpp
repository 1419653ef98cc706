// How much memory does a key take beyond itself and its items, with a million keys of one item
// each? And what does a window cost that closes while a million keys are not in it?

#include <benchmark/benchmark.h>
#include <malloc.h>

#include <chrono>
#include <cstdint>

#include <microbatch/microbatch.hpp>
#include <microbatch/testing/manual_clock.hpp>

namespace {

using namespace std::chrono_literals;

constexpr std::int64_t keys = 1'000'000;

struct Item {
  std::uint64_t key;
  std::uint64_t second;
};
struct When {
  std::chrono::seconds operator()(const Item& item) const noexcept {
    return std::chrono::seconds(item.second);
  }
};

double heap() {
  const auto info = mallinfo2();
  return static_cast<double>(info.uordblks + info.hblkhd);
}

/// With all the keys' items pending: bytes per key, without the key and the item.
template <class E>
void measure(benchmark::State& state, E emitter) {
  for (auto _ : state) {
    microbatch::testing::ManualClock clock;
    microbatch::Stream<Item> stream({.capacity = std::size_t{1} << 21, .clock = clock});
    std::uint64_t windows = 0;
    microbatch::Engine<Item> engine(stream, std::move(emitter),
                                    [&](microbatch::Window<Item>&) { ++windows; });
    const double before = heap();
    {
      auto producer = stream.producer();
      for (std::uint64_t key = 0; key < keys; ++key) {
        producer.append(Item{key, 1});
        if (key % 1024 == 0) engine.step(clock.now());
      }
    }
    engine.step(clock.now());
    state.counters["bytes_per_key"] =
        (heap() - before) / static_cast<double>(keys) - sizeof(std::uint64_t) - sizeof(Item);

    // One key more, whose window closes: nothing is done for the others.
    const auto start = std::chrono::steady_clock::now();
    constexpr int closings = 1000;
    auto producer = stream.producer();
    for (int i = 0; i < closings; ++i) {
      for (int k = 0; k < 2; ++k) producer.append(Item{keys + 1, 1});
      engine.step(clock.now());
    }
    const std::chrono::duration<double, std::nano> took = std::chrono::steady_clock::now() - start;
    state.counters["ns_per_closing"] = took.count() / closings;
    state.counters["windows"] = static_cast<double>(windows);
    (void)engine.stop();
  }
}

void count_windows(benchmark::State& state) {
  measure(state, microbatch::by_key(&Item::key, microbatch::CountWindow{2}));
}
void count_or_age_windows(benchmark::State& state) {
  using namespace microbatch;
  measure(state, microbatch::by_key(&Item::key, any_of(CountWindow{2}, MaxAgeWindow{1min})));
}
void tumbling_windows(benchmark::State& state) {
  measure(state, microbatch::by_key(&Item::key, microbatch::TumblingWindow{1min, When{}}));
}

BENCHMARK(count_windows)->Iterations(1)->Unit(benchmark::kMillisecond);
BENCHMARK(count_or_age_windows)->Iterations(1)->Unit(benchmark::kMillisecond);
BENCHMARK(tumbling_windows)->Iterations(1)->Unit(benchmark::kMillisecond);

}  // namespace

BENCHMARK_MAIN();
