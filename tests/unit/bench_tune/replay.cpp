// bench/tune's replay in virtual time, against what one can work out by hand.

#include "../bench/tune/replay.hpp"
#include "support/catch.hpp"

#include <algorithm>
#include <deque>
#include <vector>

using namespace tune;
using namespace std::chrono_literals;

namespace {

const Machine ideal{.wake_ups = {}, .overruns = {}};

std::vector<std::size_t> sizes(const Run& run) {
  std::vector<std::size_t> all;
  for (const Call& call : run.calls) all.push_back(call.items);
  return all;
}

/// The same in few lines for one worker, without lanes, wake-ups and engine: when each callback
/// ends.
std::vector<Duration> ends_of_model(const Workload& workload, const Setting& setting,
                                    const Trace& trace) {
  std::vector<Duration> ends;
  Duration free{};  // when the worker is
  for (std::size_t first = 0; first < trace.size();) {
    const std::size_t full = first + setting.window - 1;
    const Duration due = trace[first] + setting.age;
    const Duration ready = full < trace.size() ? std::min(trace[full], due) : due;
    const Duration begin = std::max(ready, free);
    std::size_t end = first;
    while (end < trace.size() && trace[end] <= begin && end - first < setting.window) ++end;
    free = begin + workload.callback(end - first);
    ends.push_back(free);
    first = end;
  }
  return ends;
}

}  // namespace

TEST_CASE("tune: a replay's windows leave when full or by age, and callbacks take their time",
          "[tune]") {
  const Workload workload{.producers = 2, .fixed = 3ms, .per_item = 1ms};
  const Trace trace{0ms, 10ms, 20ms, 21ms, 22ms, 100ms};
  Replay replay(workload, ideal, {.window = 3, .age = 50ms, .workers = 1, .capacity = 64}, 1);
  const Run run = replay(trace);
  CHECK(sizes(run) == std::vector<std::size_t>{3, 2, 1});
  REQUIRE(run.calls.size() == 3);
  CHECK(run.calls[0].begin == 20ms);  // full
  CHECK(run.calls[0].end == 26ms);
  CHECK(run.calls[0].by_count);
  CHECK(run.calls[1].begin == 71ms);  // 50 ms after the item of 21 ms
  CHECK_FALSE(run.calls[1].by_count);
  CHECK(run.calls[2].end == 154ms);
  CHECK(run.latencies == std::vector<Duration>{26ms, 16ms, 6ms, 55ms, 54ms, 54ms});
}

TEST_CASE("tune: a replay agrees with a model of one worker, item by item", "[tune]") {
  for (const std::uint64_t seed : {1U, 2U, 3U}) {
    INFO("seed " << seed);
    for (const std::size_t window : {1U, 7U, 100U, 5000U}) {
      const Workload workload{.rate = 20'000, .producers = 1, .fixed = 20us, .per_item = 10us};
      const Setting setting{.window = window, .age = 5ms, .workers = 1, .capacity = 65'536};
      const Trace trace = make_trace(workload, 20'000, seed);
      const Run run = Replay(workload, ideal, setting, 1)(trace);
      std::vector<Duration> ends;
      for (const Call& call : run.calls) ends.push_back(call.end);
      CHECK(ends == ends_of_model(workload, setting, trace));
    }
  }
}

TEST_CASE("tune: a replay runs as many callbacks at a time as there are workers", "[tune]") {
  const Workload workload{.producers = 1, .fixed = 10ms, .per_item = 0ms};
  const Trace trace{0ms, 1ms, 2ms, 3ms, 4ms};
  Replay replay(workload, ideal, {.window = 1, .age = 1s, .workers = 2, .capacity = 64}, 1);
  const Run run = replay(trace);
  std::vector<Duration> ends;
  for (const Call& call : run.calls) ends.push_back(call.end);
  CHECK(ends == std::vector<Duration>{10ms, 11ms, 20ms, 21ms, 30ms});
}

TEST_CASE("tune: a replay's producers wait for room, and the wait counts", "[tune]") {
  const Workload workload{.producers = 2, .fixed = 10ms, .per_item = 0ms};
  const Trace trace{0ms, 0ms, 0ms, 0ms, 1ms, 1ms};
  Replay replay(workload, ideal, {.window = 2, .age = 1s, .workers = 1, .capacity = 2}, 1);
  const Run run = replay(trace);
  CHECK(sizes(run) == std::vector<std::size_t>{2, 2, 2});
  CHECK(run.latencies == std::vector<Duration>{10ms, 10ms, 20ms, 20ms, 29ms, 29ms});
}

TEST_CASE("tune: a replay adds what the machine adds", "[tune]") {
  const Workload workload{.producers = 1, .fixed = 1ms, .per_item = 0ms};
  const Machine machine{.wake_ups = {2ms}, .overruns = {3ms}};
  Replay replay(workload, machine, {.window = 1, .age = 1s, .workers = 1, .capacity = 64}, 1);
  const Run run = replay({0ms, 1ms});
  REQUIRE(run.calls.size() == 2);
  CHECK(run.calls[0].begin == 2ms);
  CHECK(run.calls[0].end == 6ms);
  CHECK(run.calls[1].begin == 6ms);  // its worker was awake
  CHECK(run.calls[1].end == 10ms);
}

TEST_CASE("tune: a replay that falls behind without hope is given up", "[tune]") {
  const Workload workload{.producers = 1, .fixed = 10ms, .per_item = 0ms, .target = 11ms};
  Trace trace;
  for (int i = 0; i < 10'000; ++i) trace.push_back(i * Duration(1ms));
  Replay replay(workload, ideal, {.window = 1, .age = 1s, .workers = 1, .capacity = 64}, 1);
  Run run = replay(trace);
  CHECK(run.fell_behind);
  CHECK(run.latencies.size() < 100);
  CHECK_FALSE(figures_of({.workers = 1}, run).keeps_up());
}
