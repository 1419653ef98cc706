// Ends in odd places: inside a callback, in a thread's last moments, after main().
//
// Allowed:   a consumer destroyed in its own callback drains behind its back.
// Forbidden: a thread that joins itself; an item lost; a crash of a destructor that appends.

#include "support/catch.hpp"
#include "support/stress.hpp"

#include <microbatch/microbatch.hpp>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <optional>

using namespace microbatch;
using namespace std::chrono_literals;

TEST_CASE("a consumer may be destroyed inside its own callback", "[stress]") {
  const bool shared_pool = GENERATE(false, true);
  const bool stream_first = GENERATE(false, true);
  CAPTURE(shared_pool, stream_first);
  for (std::size_t round = 0; round < stress::scaled(40); ++round) {
    auto pool = std::make_unique<ThreadPool>(2);
    auto delivered = std::make_shared<std::atomic<int>>(0);
    auto stream = std::make_unique<Stream<int>>(StreamOptions<>{.capacity = 64});
    auto holder = std::make_shared<std::optional<Consumer<int>>>();
    std::atomic<bool> placed{false};
    ConsumerOptions<int> options;
    if (shared_pool) options.executor = *pool;
    holder->emplace(streaming(
        *stream, CountWindow{3},
        [delivered, holder, &placed](Window<int>& window) {
          while (!placed) std::this_thread::yield();
          if (window.sequence() == 0) holder->reset();
          *delivered += static_cast<int>(window.size());
        },
        options));
    placed = true;
    int accepted = 0;
    for (int i = 0; i < 20; ++i)
      if (stream->append(i) == AppendResult::accepted) ++accepted;
    if (stream_first) stream.reset();
    // At least the first window exists; all that was accepted is drained behind our back.
    while (*delivered < accepted) std::this_thread::yield();
    if (stream) CHECK(stream->append(1) == AppendResult::closed);
    CHECK(accepted >= 3);
    pool.reset();
  }
}

TEST_CASE("a consumer may be closed while its callback is about to destroy another", "[stress]") {
  for (std::size_t round = 0; round < stress::scaled(40); ++round) {
    ThreadPool pool(2);
    Stream<int> first;
    Stream<int> second;
    std::atomic<int> delivered{0};
    std::optional<Consumer<int>> other = streaming(
        second, CountWindow{100}, [&](Window<int>& w) { delivered += static_cast<int>(w.size()); },
        {.executor = pool});
    auto consumer = streaming(first, CountWindow{1},
                              [&](Window<int>&) {
                                if (other) other.reset();
                              },
                              {.executor = pool});
    for (int i = 0; i < 7; ++i) (void)second.append(i);
    (void)first.append(1);
    consumer.close();
    CHECK(delivered == 7);
  }
}

namespace {

/// Appends when the thread that owns it ends.
struct LastWords {
  Stream<int>* stream = nullptr;
  ~LastWords() {
    if (stream != nullptr) (void)stream->append(1);
  }
};
thread_local LastWords before_any_lane;
thread_local LastWords after_the_lanes;

}  // namespace

TEST_CASE("thread-local destructors may append, before and after the thread's lanes are gone",
          "[stress]") {
  Stream<int> stream({.capacity = 128});
  auto consumer = streaming(stream, CountWindow{10}, [](Window<int>&) {});
  const std::size_t generations = stress::scaled(100);
  for (std::size_t g = 0; g < generations; ++g) {
    const stress::Threads threads(4, [&](std::uint32_t) {
      before_any_lane.stream = &stream;  // constructed before the lanes, so destroyed after them
      (void)stream.append(1);
      after_the_lanes.stream = &stream;
    });
  }
  consumer.close();
  CHECK(consumer.stats().delivered == generations * 4 * 3);
}

TEST_CASE("one thread uses more streams than its cache of lanes holds", "[stress]") {
  std::atomic<std::uint64_t> delivered{0};
  std::vector<std::unique_ptr<Stream<int>>> streams;
  std::vector<Consumer<int>> consumers;
  ThreadPool pool(2);
  for (int i = 0; i < 40; ++i) {
    streams.push_back(std::make_unique<Stream<int>>(StreamOptions<>{.capacity = 32}));
    consumers.push_back(streaming(*streams.back(), CountWindow{5},
                                  [&](Window<int>& w) { delivered += w.size(); },
                                  {.executor = pool}));
  }
  const std::size_t n = stress::scaled(100);
  {
    const stress::Threads threads(3, [&](std::uint32_t) {
      for (std::size_t i = 0; i < n; ++i)
        for (auto& stream : streams) (void)stream->append(1);
    });
  }
  for (auto& consumer : consumers) consumer.close();
  CHECK(delivered == 3 * n * streams.size());
}

TEST_CASE("streams that come and go leave nothing with the threads that used them", "[stress]") {
  const auto counted = std::make_shared<int>(0);
  const std::size_t n = stress::scaled(300);
  for (std::size_t i = 0; i < n; ++i) {
    Stream<std::shared_ptr<int>> stream({.capacity = 16});
    {
      auto consumer = streaming(stream, CountWindow{2}, [](Window<std::shared_ptr<int>>&) {});
      for (int k = 0; k < 5; ++k) (void)stream.append(counted);
      consumer.close();
    }
    (void)stream.append(counted);
  }
  Stream<std::shared_ptr<int>> unclaimed;
  (void)unclaimed.append(counted);
  CHECK(counted.use_count() == 2);
}

namespace {

/// A stream, and a consumer on a thread of its own, that live until after main().
struct UntilTheEnd {
  std::atomic<int> delivered{0};
  Stream<int> stream{StreamOptions<>{.capacity = 64}};
  Consumer<int> consumer = streaming(
      stream, CountWindow{4}, [this](Window<int>& w) { delivered += static_cast<int>(w.size()); });
  int expected = 0;

  ~UntilTheEnd() {
    if (expected == 0) return;  // its test did not run
    for (int i = 0; i < 6; ++i) (void)stream.append(i);
    consumer.close();
    if (delivered == expected + 6) return;
    std::fprintf(stderr, "static stream: %d delivered after main(), %d expected\n",
                 delivered.load(), expected + 6);
    std::_Exit(1);
  }
};
UntilTheEnd& until_the_end() {
  static UntilTheEnd it;
  return it;
}

}  // namespace

TEST_CASE("a static stream works until after main(), see its destructor", "[stress]") {
  auto& it = until_the_end();
  const stress::Threads threads(3, [&](std::uint32_t) {
    for (int i = 0; i < 10; ++i) (void)it.stream.append(i);
  });
  it.expected = 30;
  SUCCEED();
}
