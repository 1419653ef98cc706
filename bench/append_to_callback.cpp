// How many items a second get from append() to a callback that sums them, in windows of 1024,
// beside what one writes by hand? bench/compare asks it of more contenders, round by round.

#include <benchmark/benchmark.h>

#include "compare/throughput.hpp"

namespace {

template <class C>
void append_to_callback(benchmark::State& state) {
  constexpr std::uint64_t items = 4'000'000;  // of all producers together, per iteration
  const auto producers = static_cast<std::size_t>(state.range(0));
  for (auto _ : state)
    state.SetIterationTime(static_cast<double>(items) /
                           contest::throughput<C, 8>(contest::Setup{}, producers, items));
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(items));
}

void settings(benchmark::internal::Benchmark* b) {
  b->ArgName("producers")->Arg(1)->Arg(2)->Arg(4)->Arg(8)->UseManualTime();
  b->Unit(benchmark::kMillisecond);
}

using ThroughProducer = contest::Contender<contest::ThroughProducer>;
using ThroughStream = contest::Contender<contest::ThroughStream>;
using Mutex = contest::Contender<contest::Mutex>;

BENCHMARK_TEMPLATE(append_to_callback, ThroughProducer)->Apply(settings);
BENCHMARK_TEMPLATE(append_to_callback, ThroughStream)->Apply(settings);
BENCHMARK_TEMPLATE(append_to_callback, Mutex)->Apply(settings);

}  // namespace

BENCHMARK_MAIN();
