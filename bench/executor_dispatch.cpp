// What does it cost to hand a window to an executor? Windows of one item, so that nothing else is
// paid for; and a task by itself.

#include <benchmark/benchmark.h>

#include <cstddef>
#include <cstdint>
#include <latch>
#include <memory>
#include <utility>

#include <microbatch/microbatch.hpp>

namespace {

using Item = std::uint64_t;
constexpr Item windows = 4096;

void count(benchmark::State& state) {
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(windows));
}

/// The engine stepped by hand; its callbacks inside step(), or handed to an executor there.
void stepped(benchmark::State& state, microbatch::AnyExecutor executor) {
  microbatch::Stream<Item> stream;
  microbatch::Engine<Item> engine(
      stream, microbatch::CountWindow{1},
      [](microbatch::Window<Item>& items) { benchmark::DoNotOptimize(items[0]); },
      {.executor = std::move(executor)});
  auto producer = stream.producer();
  for (auto _ : state) {
    for (Item i = 0; i < windows; ++i) producer.append(i);
    engine.step(microbatch::steady_clock().now());
  }
  count(state);
  engine.close();
  engine.step(microbatch::steady_clock().now());
}
void in_step(benchmark::State& state) { stepped(state, {}); }
void inline_executor(benchmark::State& state) {
  stepped(state, std::make_shared<microbatch::InlineExecutor>());
}

/// Workers that form the windows and run the callbacks themselves.
void thread_pool(benchmark::State& state) {
  microbatch::ThreadPool pool(static_cast<std::size_t>(state.range(0)));
  microbatch::Stream<Item> stream;
  auto consumer = microbatch::streaming(
      stream, microbatch::CountWindow{1},
      [](microbatch::Window<Item>& items) { benchmark::DoNotOptimize(items[0]); },
      {.executor = pool});
  auto producer = stream.producer();
  for (auto _ : state) {
    for (Item i = 0; i < windows; ++i) producer.append(i);
    consumer.flush();
  }
  count(state);
}

void bare_task_on_a_thread_pool(benchmark::State& state) {
  microbatch::ThreadPool pool(static_cast<std::size_t>(state.range(0)));
  for (auto _ : state) {
    std::latch done(windows);
    for (Item i = 0; i < windows; ++i) pool.execute([&done] { done.count_down(); });
    done.wait();
  }
  count(state);
}

BENCHMARK(in_step);
BENCHMARK(inline_executor);
BENCHMARK(thread_pool)->ArgName("workers")->Arg(1)->Arg(2)->UseRealTime();
BENCHMARK(bare_task_on_a_thread_pool)->ArgName("workers")->Arg(1)->Arg(2)->UseRealTime();

}  // namespace

BENCHMARK_MAIN();
