// What does one append cost its caller? A burst that fits into the stream, without a consumer
// beside it on the machine; draining is not measured, nor the first touch of memory, which is the
// system's price: chunks come back to the stream's pool and are used again.

#include <benchmark/benchmark.h>

#include <cstdint>
#include <numeric>
#include <vector>

#include <microbatch/microbatch.hpp>

namespace {

constexpr std::size_t burst = 65'536;
using Stream = microbatch::Stream<std::uint64_t>;

/// Runs `append(stream)`, which appends `burst` items, and empties the stream after each.
template <class Append>
void bursts(benchmark::State& state, bool stamps, Append append) {
  Stream stream({.capacity = 2 * burst, .arrival_stamps = stamps});
  std::size_t seen = 0;
  microbatch::Engine<std::uint64_t> engine(
      stream, microbatch::CountWindow{1024},
      [&](microbatch::Window<std::uint64_t>& window) { seen += window.size(); });
  std::size_t sent = 0;
  for (auto _ : state) {
    append(stream);
    state.PauseTiming();
    for (sent += burst; seen < sent;) engine.step(microbatch::steady_clock().now());
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
