// What does an emitter add to an item's way to the callback? One thread appends and steps the
// engine by hand, so that nothing waits for anything; `by_hand` does the same with a vector. Time
// stands still but for the end of a burst.

#include <benchmark/benchmark.h>

#include <chrono>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include <microbatch/microbatch.hpp>
#include <microbatch/testing/manual_clock.hpp>

namespace {

using namespace std::chrono_literals;
using Item = std::uint64_t;
using Items = microbatch::Pending<Item>;

constexpr std::size_t window = 1024;
constexpr Item burst = 32 * window;

std::uint64_t sum_of(std::span<const Item> items) {
  std::uint64_t sum = 0;
  for (const Item item : items) sum += item;
  return sum;
}

void by_hand(benchmark::State& state) {
  std::vector<Item> pending;
  pending.reserve(window);
  std::uint64_t sum = 0;
  for (auto _ : state)
    for (Item i = 0; i < burst; ++i) {
      benchmark::DoNotOptimize(pending.emplace_back(i));
      if (pending.size() == window) {
        sum += sum_of(pending);
        pending.clear();
      }
    }
  benchmark::DoNotOptimize(sum);
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(burst));
}

template <class Emitter>
void emitted(benchmark::State& state, Emitter emitter) {
  microbatch::testing::ManualClock clock;
  microbatch::Stream<Item> stream(microbatch::StreamOptions<Item>{.clock = clock});
  std::uint64_t sum = 0;
  microbatch::Engine<Item> engine(stream, std::move(emitter), [&](microbatch::Window<Item>& items) {
    sum += sum_of({items.begin(), items.end()});
  });
  auto producer = stream.producer();
  for (auto _ : state) {
    for (Item i = 0; i < burst; ++i) producer.append(i);
    clock.advance(1s);
    engine.step(clock.now());
  }
  benchmark::DoNotOptimize(sum);
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(burst));
  engine.close();
  engine.step(clock.now());
}

/// One's own, which only looks at how many there are.
struct Own {
  microbatch::Readiness window_ready(Items& pending, microbatch::TimePoint) const {
    return {.ready = pending.size() >= window,
            .reason = microbatch::Reason::custom,
            .limit = window,
            .at_items = window};
  }
};

using microbatch::CountWindow;

BENCHMARK(by_hand);
BENCHMARK_CAPTURE(emitted, count, CountWindow{window});
BENCHMARK_CAPTURE(emitted, own, Own{});
BENCHMARK_CAPTURE(emitted, relaxed_time, microbatch::RelaxedTimeWindow{1s});
BENCHMARK_CAPTURE(emitted, period, microbatch::PeriodWindow{1s});
BENCHMARK_CAPTURE(emitted, max_age, microbatch::MaxAgeWindow{1s});
BENCHMARK_CAPTURE(emitted, fixed_time, microbatch::FixedTimeWindow{1s});
BENCHMARK_CAPTURE(emitted, count_or_age,
                  microbatch::any_of(CountWindow{window}, microbatch::MaxAgeWindow{1s}));
BENCHMARK_CAPTURE(emitted, weight,
                  microbatch::WeightWindow{window, [](const Item&) { return std::uint64_t{1}; }});
BENCHMARK_CAPTURE(emitted, predicate, microbatch::PredicateWindow{[](const Item& item) {
                    return item % window == window - 1;
                  }});

}  // namespace

BENCHMARK_MAIN();
