// How soon does a full window reach its callback? From before its last append to the callback's
// start, with an engine that is awake still and with one that has gone to sleep.

#include <benchmark/benchmark.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <thread>

#include <microbatch/microbatch.hpp>

namespace {

using SteadyClock = std::chrono::steady_clock;
using std::chrono::microseconds;

void hand_off(benchmark::State& state) {
  const auto window = static_cast<std::uint64_t>(state.range(0));
  const microseconds pause{state.range(1)};

  std::atomic<std::uint64_t> windows{0};
  SteadyClock::time_point reached;  // published by windows
  microbatch::Stream<std::uint64_t> stream;
  auto consumer =
      microbatch::streaming(stream, microbatch::CountWindow{static_cast<std::size_t>(window)},
                            [&](microbatch::Window<std::uint64_t>&) {
                              reached = SteadyClock::now();
                              windows.fetch_add(1, std::memory_order_release);
                            });
  auto producer = stream.producer();

  std::uint64_t sent = 0;
  for (auto _ : state) {
    for (std::uint64_t i = 1; i < window; ++i) producer.append(i);
    if (pause.count() != 0) std::this_thread::sleep_for(pause);
    const auto start = SteadyClock::now();
    producer.append(window);
    ++sent;
    while (windows.load(std::memory_order_acquire) != sent) std::this_thread::yield();
    state.SetIterationTime(std::chrono::duration<double>(reached - start).count());
  }
}

BENCHMARK(hand_off)
    ->ArgNames({"window", "pause_us"})
    ->ArgsProduct({{1, 64, 1024}, {0, 1000}})
    ->Iterations(2000)
    ->UseManualTime()
    ->Unit(benchmark::kMicrosecond);

}  // namespace

BENCHMARK_MAIN();
