// Pools that have nothing to do.
//
// Allowed:   nothing at all.
// Forbidden: a worker that runs while nothing is due, be it only for a look; an append after the
// rest
//            that wakes nobody.

#include "support/catch.hpp"
#include "support/stress.hpp"

#include <microbatch/microbatch.hpp>

#include <malloc.h>
#include <unistd.h>

#include <atomic>
#include <deque>
#include <fstream>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

using namespace microbatch;
using namespace std::chrono_literals;

namespace {

/// How often these threads went to sleep or were put aside; a thread that sleeps on does neither.
class ContextSwitches {
 public:
  void add_this_thread() {
    const std::lock_guard lock(mutex_);
    files_.push_back("/proc/self/task/" + std::to_string(gettid()) + "/status");
  }
  [[nodiscard]] static bool can_be_counted() {
    return std::ifstream("/proc/self/task/" + std::to_string(gettid()) + "/status").good();
  }
  [[nodiscard]] std::uint64_t count() {
    const std::lock_guard lock(mutex_);
    std::uint64_t sum = 0;
    for (const auto& name : files_) {
      std::ifstream file(name);
      for (std::string line; std::getline(file, line);)
        if (line.find("ctxt_switches:") != std::string::npos)
          sum += std::stoull(line.substr(line.find(':') + 1));
    }
    return sum;
  }
  /// True as soon as all of them have been asleep for 50 ms.
  [[nodiscard]] bool come_to_rest() {
    for (int i = 0; i < 100; ++i) {
      const std::uint64_t before = count();
      std::this_thread::sleep_for(50ms);
      if (count() == before) return true;
    }
    return false;
  }

 private:
  std::mutex mutex_;
  std::vector<std::string> files_;
};

/// Delivers some items, leaves `pending` of them behind, and counts what the workers do then.
template <class E>
void rest(E emitter, int pending) {
  ContextSwitches switches;
  ThreadPool pool(
      {.workers = 2, .on_thread_start = [&](std::size_t) { switches.add_this_thread(); }});
  std::atomic<int> delivered{0};
  Stream<int> stream({.weight = [](int) { return 1; }});
  auto consumer =
      streaming(stream, std::move(emitter),
                [&](Window<int>& window) { delivered += static_cast<int>(window.size()); },
                {.executor = pool});
  for (int i = 0; i < 25; ++i) REQUIRE(stream.append(i) == AppendResult::accepted);
  consumer.flush();
  for (int i = 0; i < pending; ++i) REQUIRE(stream.append(i) == AppendResult::accepted);
  REQUIRE(switches.come_to_rest());
  const std::uint64_t before = switches.count();
  std::this_thread::sleep_for(150ms);
  CHECK(switches.count() == before);

  // And it wakes up: the tenth item is a window, or the first one's time comes.
  for (int i = pending; i < 10; ++i) REQUIRE(stream.append(i) == AppendResult::accepted);
  for (int i = 0; i < 2000 && delivered < 35; ++i) std::this_thread::sleep_for(10ms);
  CHECK(delivered == 35);
}

}  // namespace

TEST_CASE("guarantee 6: a pool with nothing due does not wake up at all", "[stress]") {
  if (!ContextSwitches::can_be_counted()) {
    WARN("skipped: /proc is not mounted, so nobody counts context switches");
    return;
  }
  SECTION("count") { rest(CountWindow{10}, 0); }
  SECTION("count, with some pending") { rest(CountWindow{10}, 3); }
  SECTION("weight, with some pending") { rest(WeightWindow{10}, 3); }
  SECTION("age") { rest(MaxAgeWindow{1ms}, 0); }
  SECTION("count or age") { rest(any_of(CountWindow{10}, MaxAgeWindow{1ms}), 0); }
  SECTION("period") { rest(PeriodWindow{1ms}, 0); }
  SECTION("relaxed grid") { rest(RelaxedTimeWindow{1ms}, 0); }
  SECTION("fixed grid") { rest(FixedTimeWindow{1ms}, 0); }
}

TEST_CASE("10,000 idle streams on one pool wake nobody and stay small", "[stress]") {
  constexpr std::size_t n = stress::sanitized ? 500 : 10'000;
  if (!ContextSwitches::can_be_counted()) {
    WARN("skipped: /proc is not mounted, so nobody counts context switches");
    return;
  }
  ContextSwitches switches;
  ThreadPool pool(
      {.workers = 2, .on_thread_start = [&](std::size_t) { switches.add_this_thread(); }});
  const auto allocated = [] {
    const auto info = mallinfo2();
    return info.uordblks + info.hblkhd;
  };
  std::atomic<std::size_t> delivered{0};
  std::deque<Stream<int>> streams;
  std::deque<Consumer<int>> consumers;
  const std::size_t before = allocated();
  for (std::size_t i = 0; i < n; ++i) streams.emplace_back(StreamOptions<int>{.capacity = 1024});
  const std::size_t with_streams = allocated();
  for (auto& stream : streams)
    consumers.push_back(streaming(stream, any_of(CountWindow{100}, MaxAgeWindow{1ms}),
                                  [&](Window<int>& window) { delivered += window.size(); },
                                  {.executor = pool, .histograms = true}));
  REQUIRE(switches.come_to_rest());
  const std::uint64_t asleep = switches.count();
  const std::size_t bytes = (allocated() - before) / n;
  std::this_thread::sleep_for(200ms);
  CHECK(switches.count() == asleep);
  if (!stress::sanitized) {  // they have an allocator of their own
    INFO("a stream " << (with_streams - before) / n << " bytes, with its consumer " << bytes);
    CHECK(bytes < 4096);
  }
  for (auto& stream : streams) REQUIRE(stream.producer().append(1) == AppendResult::accepted);
  for (auto& consumer : consumers) REQUIRE(consumer.close().delivered == 1);
  CHECK(delivered == n);
}
