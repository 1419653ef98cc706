#include <microbatch/core/histogram.hpp>

#include <cmath>
#include <cstdint>
#include <functional>
#include <random>
#include <thread>
#include <vector>

#include "support/rig.hpp"

using namespace microbatch;
using namespace std::chrono_literals;
using detail::HistogramScale;

namespace {

/// Counts how often somebody looks.
class CountedClock final : public Clock {
 public:
  [[nodiscard]] TimePoint now() const noexcept override {
    ++looks_;
    return time_.now();
  }
  void subscribe(const void* key, std::function<void()> moved) override {
    time_.subscribe(key, std::move(moved));
  }
  void unsubscribe(const void* key) noexcept override { time_.unsubscribe(key); }
  [[nodiscard]] bool runs_by_itself() const noexcept override { return false; }
  [[nodiscard]] int looks() const noexcept { return looks_; }

 private:
  testing::ManualClock time_;
  mutable int looks_ = 0;
};

/// How often a stream looks at the clock for five windows of so many items.
int looks_for_five_windows(int items, bool histograms) {
  CountedClock clock;
  Stream<int> stream({.clock = clock});
  int windows = 0;
  Engine<int> engine(stream, CountWindow{static_cast<std::size_t>(items)},
                     [&](Window<int>&) { ++windows; }, {.histograms = histograms});
  const int before = clock.looks();
  for (int i = 0; i < 5 * items; ++i) REQUIRE(stream.append(i) == AppendResult::accepted);
  engine.step(clock.now());
  const int looks = clock.looks() - before;
  REQUIRE(windows == 5);
  engine.close();
  engine.step(clock.now());
  return looks;
}

}  // namespace

TEST_CASE("histograms look at the clock twice a window, and never for an item", "[metrics]") {
  const int without = looks_for_five_windows(10, false);
  CHECK(looks_for_five_windows(10, true) == without + 2 * 5);
  CHECK(looks_for_five_windows(1000, true) == without + 2 * 5);
  CHECK(looks_for_five_windows(1000, false) == without);
}

TEST_CASE("a histogram's buckets cover every value once, at most 1/32 wide", "[metrics]") {
  std::uint64_t below = 0;
  for (std::size_t i = 1; i < HistogramScale::size; ++i) {
    const std::uint64_t bound = HistogramScale::bound(i);
    REQUIRE(bound > below);
    REQUIRE(HistogramScale::index(bound) == i);
    REQUIRE(HistogramScale::index(below + 1) == i);
    REQUIRE((bound - below) * 32 <= std::max<std::uint64_t>(below + 1, 32));
    below = bound;
  }
  CHECK(below == std::uint64_t{1} << HistogramScale::top_bits);
  CHECK(HistogramScale::index(0) == 0);
  CHECK(HistogramScale::index(~std::uint64_t{0}) == HistogramScale::size - 1);
}

TEST_CASE("counts up to a power of two are exact", "[metrics]") {
  Histogram histogram;
  for (std::uint64_t v = 0; v <= 5000; ++v) histogram.record(v);
  for (const std::uint64_t bound : std::vector<std::uint64_t>{0, 1, 2, 4, 63, 64, 128, 1024, 4096})
    CHECK(histogram.count_up_to(bound) == bound + 1);
  CHECK(histogram.count_up_to(1 << 20) == 5001);
  CHECK(histogram.sum() == 5000.0 * 5001 / 2);
  CHECK(histogram.max() == 5000);
}

TEST_CASE("a quantile is at most 1/32 too high and never above the maximum", "[metrics]") {
  std::mt19937_64 random(20'26);  // any seed will do
  std::vector<std::uint64_t> values;
  Histogram histogram;
  for (int i = 0; i < 20'000; ++i) {
    const std::uint64_t value = random() >> (random() % 48 + 16);
    values.push_back(value);
    histogram.record(value);
  }
  std::sort(values.begin(), values.end());
  for (const double q : {0.0, 0.001, 0.25, 0.5, 0.9, 0.99, 0.999, 1.0}) {
    const auto rank =
        static_cast<std::size_t>(std::max(1.0, std::ceil(q * static_cast<double>(values.size()))));
    const std::uint64_t exact = values[rank - 1];
    const std::uint64_t told = histogram.quantile(q);
    CAPTURE(q, exact, told);
    CHECK(told >= exact);
    CHECK(told <= exact + exact / 32 + 1);
  }
  CHECK(histogram.quantile(1) == values.back());
  CHECK(histogram.quantile(7) == values.back());
  CHECK(histogram.quantile(-1) == histogram.quantile(0));
  CHECK(Histogram().quantile(0.5) == 0);
}

TEST_CASE("recorders merge to what one histogram would hold", "[metrics]") {
  Histogram all;
  Histogram merged;
  for (std::uint64_t part = 0; part < 3; ++part) {
    detail::HistogramRecorder recorder;
    std::vector<std::uint64_t> values;
    for (std::uint64_t i = 0; i < 1000; ++i) values.push_back(i / 7 * (part * 100 + 1));
    for (const std::uint64_t v : values) all.record(v);
    recorder.record_all(values);
    Histogram read;
    recorder.add_to(read);
    merged.merge(read);
  }
  CHECK(merged.count() == all.count());
  CHECK(merged.sum() == all.sum());
  CHECK(merged.max() == all.max());
  for (std::uint64_t v = 0; v < 40'000; v += 13)
    REQUIRE(merged.count_up_to(v) == all.count_up_to(v));
}

TEST_CASE("a recorder is read while it is written, and loses nothing", "[metrics]") {
  detail::HistogramRecorder recorder;
  std::jthread writer([&] {
    for (std::uint64_t i = 0; i < 20'000; ++i) recorder.record(i);
  });
  std::uint64_t before = 0;
  while (before < 20'000) {
    Histogram seen;
    recorder.add_to(seen);
    REQUIRE(seen.count() >= before);
    before = seen.count();
  }
  CHECK(before == 20'000);
}

TEST_CASE("window sizes, waits, callbacks and settling are measured where asked for", "[metrics]") {
  test::Rig<int> rig({.arrival_stamps = true});
  int calls = 0;
  rig.consume(CountWindow{3},
              [&](Window<int>&) {
                rig.clock.advance(5ms);
                if (++calls == 1) throw TransientError("not yet");
              },
              {.on_failure = {.first_delay = 20ms, .jitter = 0}, .histograms = true});
  rig.append(1);
  rig.at(10ms);
  rig.append(2);
  rig.at(30ms);
  rig.append(3);
  rig.pass_until(200ms, 5ms);
  REQUIRE(rig.items() == test::Windows<>{{1, 2, 3}});

  const Histograms seen = rig.consumer->histograms();
  CHECK(seen.window_size.count() == 1);
  CHECK(seen.window_size.max() == 3);
  CHECK(seen.wait.count() == 3);
  CHECK(seen.wait.sum() == 30e6 + 20e6 + 0);
  CHECK(seen.wait.max() == 30'000'000);
  CHECK(seen.callback.count() == 2);
  CHECK(seen.callback.sum() == 2 * 5e6);
  CHECK(seen.settle.count() == 1);
  CHECK(seen.settle.max() == 5'000'000 + 20'000'000 + 5'000'000);
  rig.close();
}

TEST_CASE("without being asked nothing is measured, and without stamps no wait", "[metrics]") {
  test::Rig<int> plain;
  plain.consume(CountWindow{1});
  plain.append(1);
  plain.run();
  CHECK(plain.consumer->histograms().window_size.empty());
  CHECK(plain.consumer->histograms().callback.empty());

  test::Rig<int> unstamped;
  unstamped.consume(CountWindow{1}, {.histograms = true});
  unstamped.append(1);
  unstamped.run();
  CHECK(unstamped.consumer->histograms().window_size.count() == 1);
  CHECK(unstamped.consumer->histograms().wait.empty());
}

TEST_CASE("stats tell how old the oldest pending item and the oldest window are", "[metrics]") {
  test::Rig<int> rig({.arrival_stamps = true});
  Duration window{};
  rig.consume(CountWindow{2}, [&](Window<int>&) {
    rig.clock.advance(7ms);
    window = rig.stats().oldest_window;
    CHECK(rig.stats().windows_in_flight == 1);
  });
  rig.append(1);
  rig.leap_to(40ms);
  CHECK(rig.stats().oldest_pending == 40ms);
  CHECK(rig.stats().windows_in_flight == 0);
  rig.at(50ms);
  CHECK(rig.stats().oldest_pending == 50ms);  // swept, still pending
  rig.append(2);
  rig.run();
  CHECK(window == 7ms);
  CHECK(rig.stats().oldest_pending == 0ms);
  CHECK(rig.stats().oldest_window == 0ms);
  CHECK(rig.stats().windows_in_flight == 0);
}
