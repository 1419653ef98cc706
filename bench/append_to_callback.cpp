// How many items a second get from append() to a callback that sums them, in windows of 1024,
// beside what one writes by hand? Every contender has the same capacity, and every sum is checked.

#include <benchmark/benchmark.h>

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <span>
#include <stdexcept>
#include <thread>
#include <vector>

#include <microbatch/microbatch.hpp>

namespace {

constexpr std::size_t window = 1024;
constexpr std::size_t capacity = 65'536;
constexpr std::uint64_t items = 4'000'000;  // of all producers together, per iteration

std::uint64_t sum(std::span<const std::uint64_t> values) {
  std::uint64_t total = 0;
  for (const std::uint64_t value : values) total += value;
  return total;
}

/// Runs `produce(first, last)` on so many threads, which share the items 1..items among them.
template <class Produce>
void on_threads(std::size_t producers, Produce produce) {
  std::vector<std::jthread> threads;
  for (std::uint64_t p = 0; p < producers; ++p)
    threads.emplace_back(
        [=] { produce(1 + items * p / producers, 1 + items * (p + 1) / producers); });
}

void check(std::uint64_t total) {
  if (total != items * (items + 1) / 2)
    throw std::logic_error("a contender lost or invented items");
}

void through_producers(benchmark::State& state) {
  for (auto _ : state) {
    std::uint64_t total = 0;
    microbatch::Stream<std::uint64_t> stream({.capacity = capacity});
    auto consumer =
        microbatch::streaming(stream, microbatch::CountWindow{window},
                              [&](std::span<const std::uint64_t> values) { total += sum(values); });
    on_threads(static_cast<std::size_t>(state.range(0)), [&](std::uint64_t i, std::uint64_t end) {
      auto producer = stream.producer();
      for (; i != end; ++i) producer.append(i);
    });
    consumer.close();
    check(total);
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(items));
}

void through_the_stream(benchmark::State& state) {
  for (auto _ : state) {
    std::uint64_t total = 0;
    microbatch::Stream<std::uint64_t> stream({.capacity = capacity});
    auto consumer =
        microbatch::streaming(stream, microbatch::CountWindow{window},
                              [&](std::span<const std::uint64_t> values) { total += sum(values); });
    on_threads(static_cast<std::size_t>(state.range(0)), [&](std::uint64_t i, std::uint64_t end) {
      for (; i != end; ++i) stream.append(i);
    });
    consumer.close();
    check(total);
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(items));
}

/// What a good engineer writes by hand: reserves, swaps, and notifies only at a full window.
class MutexQueue {
 public:
  MutexQueue() { pending_.reserve(capacity); }

  void append(std::uint64_t value) {
    bool full_window = false;
    {
      std::unique_lock lock(mutex_);
      room_.wait(lock, [&] { return pending_.size() < capacity; });
      pending_.push_back(value);
      full_window = pending_.size() % window == 0;
    }
    if (full_window) ready_.notify_one();
  }
  void close() {
    {
      std::lock_guard lock(mutex_);
      closed_ = true;
    }
    ready_.notify_one();
  }
  /// Everything that is there, at least a window unless closed; empty at the end.
  void take(std::vector<std::uint64_t>& into) {
    {
      std::unique_lock lock(mutex_);
      ready_.wait(lock, [&] { return pending_.size() >= window || closed_; });
      into.swap(pending_);
    }
    room_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable ready_;
  std::condition_variable room_;
  std::vector<std::uint64_t> pending_;
  bool closed_ = false;
};

void by_hand_with_a_mutex(benchmark::State& state) {
  for (auto _ : state) {
    std::uint64_t total = 0;
    MutexQueue queue;
    std::jthread consumer([&] {
      std::vector<std::uint64_t> taken;
      taken.reserve(capacity);
      for (;;) {
        queue.take(taken);
        if (taken.empty()) return;
        const std::span<const std::uint64_t> all(taken);
        for (std::size_t i = 0; i < all.size(); i += window)
          total += sum(all.subspan(i, std::min(window, all.size() - i)));
        taken.clear();
      }
    });
    on_threads(static_cast<std::size_t>(state.range(0)), [&](std::uint64_t i, std::uint64_t end) {
      for (; i != end; ++i) queue.append(i);
    });
    queue.close();
    consumer.join();
    check(total);
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(items));
}

void settings(benchmark::internal::Benchmark* b) {
  b->ArgName("producers")
      ->Arg(1)
      ->Arg(2)
      ->Arg(4)
      ->Arg(8)
      ->UseRealTime()
      ->Unit(benchmark::kMillisecond);
}

BENCHMARK(through_producers)->Apply(settings);
BENCHMARK(through_the_stream)->Apply(settings);
BENCHMARK(by_hand_with_a_mutex)->Apply(settings);

}  // namespace

BENCHMARK_MAIN();
