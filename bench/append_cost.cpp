// What does one append cost its caller? A burst that fits into the stream, without a consumer
// beside it on the machine; draining is not measured.

#include <benchmark/benchmark.h>

#include <cstdint>
#include <memory>
#include <numeric>
#include <vector>

#include <microbatch/microbatch.hpp>

namespace {

constexpr std::size_t burst = 65'536;

/// Runs `append(stream)`, which appends `burst` items, on a fresh stream per iteration.
template <class Append>
void bursts(benchmark::State& state, bool stamps, Append append) {
  for (auto _ : state) {
    state.PauseTiming();
    auto stream = std::make_unique<microbatch::Stream<std::uint64_t>>(
        microbatch::StreamOptions<std::uint64_t>{.capacity = 2 * burst, .arrival_stamps = stamps});
    stream->append(0);  // the thread has its lane
    state.ResumeTiming();
    append(*stream);
    state.PauseTiming();
    stream.reset();
    state.ResumeTiming();
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(burst));
}

void producer_append(benchmark::State& state) {
  bursts(state, false, [](auto& stream) {
    auto producer = stream.producer();
    for (std::uint64_t i = 0; i < burst; ++i) producer.append(i);
  });
}
void stream_append(benchmark::State& state) {
  bursts(state, false, [](auto& stream) {
    for (std::uint64_t i = 0; i < burst; ++i) stream.append(i);
  });
}
void stamped_producer_append(benchmark::State& state) {
  bursts(state, true, [](auto& stream) {
    auto producer = stream.producer();
    for (std::uint64_t i = 0; i < burst; ++i) producer.append(i);
  });
}
void append_range_of_64(benchmark::State& state) {
  std::vector<std::uint64_t> batch(64);
  std::iota(batch.begin(), batch.end(), 0);
  bursts(state, false, [&](auto& stream) {
    auto producer = stream.producer();
    for (std::uint64_t i = 0; i < burst; i += 64)
      benchmark::DoNotOptimize(producer.append_range(batch));
  });
}

BENCHMARK(producer_append);
BENCHMARK(stream_append);
BENCHMARK(stamped_producer_append);
BENCHMARK(append_range_of_64);

}  // namespace

BENCHMARK_MAIN();
