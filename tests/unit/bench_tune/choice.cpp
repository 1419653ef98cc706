// What bench/tune decides by: arrivals, percentiles, figures and the choice itself.

#include "../bench/tune/choose.hpp"
#include "../bench/tune/figures.hpp"
#include "../bench/tune/trace.hpp"
#include "support/catch.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

using namespace tune;
using namespace std::chrono_literals;

namespace {

Figures figures(Setting setting, Duration p99, double cost_us, double load = 0.5) {
  Figures one{.setting = setting, .load = load, .cost = Microseconds(cost_us)};
  one.latencies.fill(p99);
  return one;
}

}  // namespace

TEST_CASE("tune: the same seed gives the same arrivals, another one others", "[tune]") {
  for (const Arrivals arrivals : {Arrivals::poisson, Arrivals::bursts}) {
    const Workload workload{.arrivals = arrivals};
    const Trace trace = make_trace(workload, 1000, 7);
    CHECK(trace == make_trace(workload, 1000, 7));
    CHECK(trace != make_trace(workload, 1000, 8));
  }
}

TEST_CASE("tune: arrivals are in order and come at the mean rate", "[tune]") {
  constexpr std::uint64_t seed = 3;
  INFO("seed " << seed);
  for (const Arrivals arrivals : {Arrivals::even, Arrivals::poisson, Arrivals::bursts}) {
    const Workload workload{.rate = 50'000, .arrivals = arrivals, .target = 1ms};
    const Trace trace = make_trace(workload, 200'000, seed);
    REQUIRE(trace.size() == 200'000);
    CHECK(std::is_sorted(trace.begin(), trace.end()));
    CHECK(rate_of(trace) == Approx(50'000).epsilon(0.1));
  }
}

TEST_CASE("tune: Poisson arrivals vary as such do, bursts more", "[tune]") {
  // Of the counts in equal times, the variance over the mean: 0 for even ones, 1 for Poisson.
  const auto dispersion = [](Arrivals arrivals) {
    const Workload workload{.rate = 100'000, .arrivals = arrivals, .target = 10ms};
    const Trace trace = make_trace(workload, 200'000, 5);
    std::vector<double> counts(static_cast<std::size_t>(trace.back() / 1ms));
    for (const Duration at : trace)
      if (const auto i = static_cast<std::size_t>(at / 1ms); i < counts.size()) ++counts[i];
    double mean = 0;
    for (const double count : counts) mean += count / static_cast<double>(counts.size());
    double variance = 0;
    for (const double count : counts)
      variance += (count - mean) * (count - mean) / static_cast<double>(counts.size());
    return variance / mean;
  };
  CHECK(dispersion(Arrivals::even) < 0.05);
  CHECK(dispersion(Arrivals::poisson) == Approx(1).margin(0.1));
  CHECK(dispersion(Arrivals::bursts) > 5);
}

TEST_CASE("tune: the busiest part of a trace is found and counted from its begin", "[tune]") {
  const Trace trace{0s, 10s, 11s, 12s, 20s, 25s};
  CHECK(busiest(trace, std::size_t{3}) == Trace{0s, 1s, 2s});
  CHECK(busiest(trace, std::size_t{100}) == Trace{0s, 10s, 11s, 12s, 20s, 25s});
  CHECK(busiest(trace, Duration(2s)) == Trace{0s, 1s});
  CHECK(busiest(trace, Duration(3s)) == Trace{0s, 1s, 2s});
}

TEST_CASE("tune: a percentile is the nearest rank's value", "[tune]") {
  std::vector<int> values(1000);
  for (int i = 0; i < 1000; ++i) values[static_cast<std::size_t>(i)] = i + 1;
  CHECK(percentile<int>(values, 0) == 1);
  CHECK(percentile<int>(values, 0.5) == 500);
  CHECK(percentile<int>(values, 0.99) == 990);
  CHECK(percentile<int>(values, 0.999) == 999);
  CHECK(percentile<int>(values, 1) == 1000);
  CHECK(percentile<int>(std::vector{7}, 0.99) == 7);
}

TEST_CASE("tune: figures sum up a run", "[tune]") {
  Run run{.latencies = {4ms, 1ms, 3ms, 2ms},
          .calls = {{.begin = 1s, .end = 2s, .items = 1},
                    {.begin = 5s, .end = 6s, .items = 3, .by_count = true}},
          .last_arrival = 6s,
          .cpu = 3s};
  const Figures one = figures_of({.workers = 2}, run);
  CHECK(one.items == 4);
  CHECK(one.p50() == 2ms);
  CHECK(one.p99() == 4ms);
  CHECK(one.throughput == Approx(3.0 / 4));  // 3 items in the 4 s after the first callback
  CHECK(one.mean_window == Approx(2));
  CHECK(one.largest_window == 3);
  CHECK(one.by_count == Approx(0.5));
  CHECK(one.load == Approx(2.0 / 12));  // 2 s of 2 workers' 6 s
  CHECK(one.cost == Nanoseconds(0.5e9));
  CHECK(one.cpu == Approx(0.5));
}

TEST_CASE("tune: the cheapest that meets the target is chosen", "[tune]") {
  const Setting slow{.window = 1000, .age = 9ms, .workers = 1, .capacity = 4096};
  const Setting good{.window = 500, .age = 5ms, .workers = 1, .capacity = 4096};
  const Setting dear{.window = 10, .age = 1ms, .workers = 1, .capacity = 4096};
  const std::vector all{figures(slow, 12ms, 1), figures(good, 8ms, 2), figures(dear, 2ms, 5)};
  CHECK(choose(all, 10ms)->setting == good);
  CHECK(choose(all, 12ms)->setting == slow);
  CHECK(choose(all, 5ms)->setting == dear);
  CHECK(choose(all, 1ms) == nullptr);
  CHECK(fastest(all).setting == dear);
}

TEST_CASE("tune: what cannot keep up is never chosen, however fast it looks", "[tune]") {
  const Setting busy{.window = 100, .age = 5ms, .workers = 1, .capacity = 4096};
  const Setting calm{.window = 50, .age = 5ms, .workers = 2, .capacity = 4096};
  const std::vector all{figures(busy, 1ms, 1, 0.97), figures(calm, 9ms, 2)};
  CHECK(choose(all, 10ms)->setting == calm);
  CHECK(cheapest(all, 10ms)->setting == calm);
  CHECK(fastest(all).setting == calm);
}

TEST_CASE("tune: of those that cost about the same, the simplest is chosen", "[tune]") {
  const Setting many{.window = 100, .age = 5ms, .workers = 4, .capacity = 512};
  const Setting tight{.window = 100, .age = 5ms, .workers = 1, .capacity = 100};
  const Setting ample{.window = 100, .age = 5ms, .workers = 1, .capacity = 65'536};
  const Setting snug{.window = 100, .age = 5ms, .workers = 1, .capacity = 256};
  const std::vector all{figures(many, 5ms, 1), figures(tight, 5ms, 1.01), figures(ample, 5ms, 1.01),
                        figures(snug, 5ms, 1.01)};
  CHECK(cheapest(all, 10ms)->setting == many);
  CHECK(choose(all, 10ms)->setting == snug);
  const std::vector dearer{figures(many, 5ms, 1), figures(snug, 5ms, 1.03)};
  CHECK(choose(dearer, 10ms)->setting == many);
}
