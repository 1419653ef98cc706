// What does it cost to be watched? Histograms: one thread appends and steps the engine by hand,
// with them and without. Looking: stats(), histograms() and a whole scrape's text, of consumers at
// work.

#include <benchmark/benchmark.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include <microbatch/microbatch.hpp>

namespace {

using Item = std::uint64_t;

void windows(benchmark::State& state, bool histograms) {
  const auto window = static_cast<std::size_t>(state.range(0));
  microbatch::Stream<Item> stream;
  std::uint64_t sum = 0;
  microbatch::Engine<Item> engine(stream, microbatch::CountWindow{window},
                                  [&](std::span<const Item> items) {
                                    for (const Item item : items) sum += item;
                                  },
                                  {.histograms = histograms});
  auto producer = stream.producer();
  constexpr Item burst = 32'768;
  for (auto _ : state) {
    for (Item i = 0; i < burst; ++i) producer.append(i);
    engine.step(microbatch::steady_clock().now());
  }
  benchmark::DoNotOptimize(sum);
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(burst));
  engine.close();
  engine.step(microbatch::steady_clock().now());
}

/// Consumers on one pool that measure, with lanes that have been used; one producer, of the first
/// stream, appends all the time.
class Busy {
 public:
  Busy(std::size_t consumers, std::size_t lanes) {
    for (std::size_t i = 0; i < consumers; ++i) {
      streams_.emplace_back(microbatch::StreamOptions<Item>{.name = std::to_string(i)});
      consumers_.push_back(std::make_unique<microbatch::Consumer<Item>>(microbatch::streaming(
          streams_.back(), microbatch::CountWindow{1024}, [](std::span<const Item>) {},
          {.executor = pool_, .histograms = true})));
      metrics_.watch(*consumers_.back());
      for (std::size_t lane = 0; lane < lanes; ++lane) {
        producers_.push_back(streams_.back().producer());
        for (Item item = 0; item < 1024; ++item) producers_.back().append(item);
      }
    }
    load_ = std::thread([this] {
      for (Item item = 0; !done_.load(std::memory_order_relaxed); ++item)
        producers_.front().append(item);
    });
  }
  Busy(const Busy&) = delete;
  Busy& operator=(const Busy&) = delete;
  ~Busy() {
    done_.store(true, std::memory_order_relaxed);
    load_.join();
  }
  [[nodiscard]] microbatch::Consumer<Item>& consumer() { return *consumers_.front(); }
  [[nodiscard]] microbatch::Metrics& metrics() { return metrics_; }

 private:
  microbatch::ThreadPool pool_{1};
  std::deque<microbatch::Stream<Item>> streams_;
  microbatch::Metrics metrics_;
  std::vector<std::unique_ptr<microbatch::Consumer<Item>>> consumers_;
  std::vector<microbatch::Producer<Item>> producers_;
  std::atomic<bool> done_{false};  // publishes nothing: the join does
  std::thread load_;
};

void stats(benchmark::State& state) {
  Busy busy(1, static_cast<std::size_t>(state.range(0)));
  for (auto _ : state) benchmark::DoNotOptimize(busy.consumer().stats());
}
void histograms(benchmark::State& state) {
  Busy busy(1, static_cast<std::size_t>(state.range(0)));
  for (auto _ : state) benchmark::DoNotOptimize(busy.consumer().histograms());
}
void scrape(benchmark::State& state) {
  Busy busy(static_cast<std::size_t>(state.range(0)), 16);
  std::size_t bytes = 0;
  for (auto _ : state) bytes = microbatch::prometheus_text(busy.metrics().collect()).size();
  state.counters["bytes"] = static_cast<double>(bytes);
}

BENCHMARK_CAPTURE(windows, without, false)->ArgName("items")->Arg(64)->Arg(1024);
BENCHMARK_CAPTURE(windows, with_histograms, true)->ArgName("items")->Arg(64)->Arg(1024);
BENCHMARK(stats)->ArgName("lanes")->Arg(1)->Arg(16);
BENCHMARK(histograms)->ArgName("lanes")->Arg(16);
BENCHMARK(scrape)->ArgName("consumers")->Arg(1)->Arg(10)->Arg(100)->Unit(benchmark::kMillisecond);

}  // namespace

BENCHMARK_MAIN();
