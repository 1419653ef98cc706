#include <algorithm>
#include <cmath>
#include <random>

#include "support/rig.hpp"

using namespace microbatch;
using namespace std::chrono_literals;
using test::Rig;

namespace {

/// Seconds of a load: from then on so many items a second.
struct Step {
  Duration from;
  double rate;
};

Duration service_time(std::size_t items) { return 1ms + 1us * static_cast<std::int64_t>(items); }

struct Outcome {
  std::vector<Duration> latencies;  // of the items that arrived a second or more after a step
  std::size_t windows = 0;
  std::size_t items = 0;
  [[nodiscard]] Duration p99() {
    auto at = latencies.begin() + static_cast<std::ptrdiff_t>(latencies.size() * 99 / 100);
    std::nth_element(latencies.begin(), at, latencies.end());
    return *at;
  }
  [[nodiscard]] double mean_window() const {
    return static_cast<double>(items) / static_cast<double>(windows);
  }
};

/// Poisson arrivals at those rates, one second of which is not looked at, into a callback of 1 ms
/// and 1 us per item, in virtual time. One outcome per step.
template <class E>
std::vector<Outcome> simulate(E emitter, const std::vector<Step>& steps, Duration end,
                              std::uint32_t seed) {
  testing::ManualClock clock;
  const TimePoint start = clock.now();
  std::vector<Outcome> outcomes(steps.size());
  std::mt19937 random(seed);
  Stream<TimePoint> stream({.capacity = 1 << 20, .clock = clock});
  std::size_t arrived_in = 0;
  const auto step_at = [&](TimePoint t) {
    std::size_t s = 0;
    while (s + 1 < steps.size() && t - start >= steps[s + 1].from) ++s;
    return s;
  };
  const auto settled = [&](TimePoint t) { return t - start >= steps[step_at(t)].from + 1s; };
  TimePoint next = start;
  const auto arrive_until = [&](TimePoint until) {
    while (next <= until && next - start < end) {
      clock.set(next);
      if (stream.append(next) != AppendResult::accepted) FAIL("the stream is full");
      arrived_in = step_at(next);
      const double rate = steps[arrived_in].rate;
      const double u = std::uniform_real_distribution<double>(1e-12, 1.0)(random);
      next += std::max(Duration(1),
                       detail::to_duration(std::chrono::duration<double>(-std::log(u) / rate)));
    }
    clock.set(until);
  };
  Engine<TimePoint> engine(stream, std::move(emitter), [&](Window<TimePoint>& window) {
    const TimePoint begin = clock.now();
    arrive_until(begin + service_time(window.size()));
    Outcome& outcome = outcomes[step_at(window[0])];
    if (!settled(window[0])) return;
    ++outcome.windows;
    outcome.items += window.size();
    for (const TimePoint arrival : window) outcome.latencies.push_back(clock.now() - arrival);
  });
  bool woken = false;
  engine.on_wake([&] { woken = true; });
  TimePoint due = engine.step(clock.now());
  while (clock.now() - start < end) {
    // To the next arrival or to when the engine asked for.
    arrive_until(std::min(due, next));
    if (clock.now() >= due || std::exchange(woken, false)) due = engine.step(clock.now());
    if (due <= clock.now()) due = clock.now() + 1us;
  }
  (void)engine.stop();
  return outcomes;
}

}  // namespace

TEST_CASE("LatencyTargetWindow: holds the target at 0.8 of the best fixed window, through steps",
          "[windows]") {
  const std::uint32_t seed = std::random_device{}();
  INFO("seed " << seed);
  const Duration target = 20ms;
  const std::vector<Step> steps{{0s, 1'000}, {4s, 100'000}, {8s, 1'000}};
  auto outcomes = simulate(LatencyTargetWindow{target}, steps, 12s, seed);
  REQUIRE(outcomes.size() == 3);
  for (std::size_t i = 0; i < outcomes.size(); ++i) {
    INFO("at " << steps[i].rate << " items a second");
    REQUIRE(outcomes[i].windows > 10);
    CHECK(outcomes[i].p99() <= target);
    // The best fixed one: the greatest age with which 99 of 100 items are in time.
    double best = 0;
    for (Duration age = 10ms; age < target; age += 1ms) {
      auto fixed = simulate(MaxAgeWindow{age}, {{0s, steps[i].rate}}, 2s, seed);
      if (fixed[0].p99() <= target) best = std::max(best, fixed[0].mean_window());
    }
    REQUIRE(best > 0);
    CHECK(outcomes[i].mean_window() >= 0.8 * best);
  }
}

TEST_CASE("LatencyTargetWindow: where the target cannot be held, all that is there leaves at once",
          "[windows]") {
  auto outcomes = simulate(LatencyTargetWindow{1ms}, {{0s, 1'000}}, 3s, 1);
  CHECK(outcomes[0].mean_window() < 3);  // a window takes 1 ms by itself
}

TEST_CASE("LatencyTargetWindow: an item by itself leaves before it misses the target",
          "[windows]") {
  Rig rig;
  rig.consume(LatencyTargetWindow{100ms}, [&](Window<int>&) { rig.clock.advance(10ms); });
  for (int i = 1; i <= 10; ++i) {
    rig.pass_until(i * 1s, 1ms);
    rig.append(i);
    rig.pass_until(i * 1s + 500ms, 1ms);
    REQUIRE(rig.windows.size() == static_cast<std::size_t>(i));
    const Duration waited = rig.calls.back().at - i * 1s;
    CHECK(waited <= 90ms);
    if (i > 3) CHECK(waited >= 80ms);
    CHECK(rig.windows.back().reason == Reason::latency);
  }
  rig.close();
}

TEST_CASE("LatencyTargetWindow: the target can be changed while it runs, and must be one",
          "[windows]") {
  CHECK_THROWS_WITH(LatencyTargetWindow{0ms}, ContainsSubstring("LatencyTargetWindow: target"));
  Rig rig;
  LatencyTargetWindow window{1h};
  rig.consume(window);
  rig.append(1);
  rig.run();
  CHECK(rig.windows.empty());
  window.set_target(10ms);
  rig.pass_until(10ms, 1ms);
  CHECK(rig.windows.size() == 1);
  rig.close();
}

TEST_CASE("CostModel: learns a fixed part and a part per item", "[windows]") {
  detail::CostModel model;
  for (int i = 0; i < 200; ++i) {
    const double items = 100 + i % 10;
    model.learn(items, 1e-3 + 1e-6 * items);
  }
  CHECK(model.per_item() == Approx(1e-6).epsilon(0.01));
  CHECK(model.fixed() == Approx(1e-3).epsilon(0.01));
  CHECK(model.predict(10'000) == Approx(11e-3).epsilon(0.01));
}
