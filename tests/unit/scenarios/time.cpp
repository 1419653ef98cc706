// The scenarios about windows in time.

#include <algorithm>
#include <cstddef>

#include "support/rig.hpp"

using namespace microbatch;
using namespace std::chrono_literals;
using test::Names;
using test::Rig;
using test::Times;
using test::Windows;

TEST_CASE("scenario 2: on a fixed grid an item on a boundary belongs to the cell that opens there",
          "[scenario]") {
  Rig rig;
  rig.consume(FixedTimeWindow{1s});
  for (int i = 0; i < 10; ++i) {
    rig.pass_until(i * 500ms, 100ms);
    rig.append(i);
  }
  rig.pass_until(6s, 100ms);
  CHECK(rig.items() == Windows<>{{0, 1}, {2, 3}, {4, 5}, {6, 7}, {8, 9}});
  CHECK(rig.bounds() == Times{0s, 1s, 1s, 2s, 2s, 3s, 3s, 4s, 4s, 5s});
  CHECK(rig.times() == Times{1s, 2s, 3s, 4s, 5s});
  rig.close();
  CHECK(rig.windows.size() == 5);
}

TEST_CASE("scenario 2: cells without items are windows where that is asked for", "[scenario]") {
  Rig rig;
  rig.consume(FixedTimeWindow{1s, {.empty_windows = true}});
  rig.append(1);
  rig.pass_until(3s, 100ms);
  rig.append(2);
  rig.pass_until(4s, 100ms);
  CHECK(rig.items() == Windows<>{{1}, {}, {}, {2}});
  CHECK(rig.bounds() == Times{0s, 1s, 1s, 2s, 2s, 3s, 3s, 4s});
  rig.close();
}

TEST_CASE("scenario 9: with a maximum age of 2 s, all 512 items are delivered by 2.05 s",
          "[scenario]") {
  Rig rig;
  rig.consume(MaxAgeWindow{2s});
  rig.append_numbers(0, 512);
  rig.pass_until(1990ms);
  CHECK(rig.windows.empty());
  rig.pass_until(2050ms);
  CHECK(rig.flat().size() == 512);
  rig.close();
  CHECK(rig.windows.size() == 1);
}

TEST_CASE("scenario 10: three items or 2 s: the age counts from the item", "[scenario]") {
  Rig rig;
  rig.consume(any_of(CountWindow{3}, MaxAgeWindow{2s}));
  rig.pass_until(1s);
  rig.append(1, 2, 3);
  rig.pass_until(1500ms);
  rig.append(4);
  rig.pass_until(5s);
  CHECK(rig.items() == Windows<>{{1, 2, 3}, {4}});
  CHECK(rig.times() == Times{1s, 3500ms});
  CHECK(rig.reasons() == Names{"count", "age"});
  rig.close();
}

TEST_CASE("scenario 10: three items or 2 s: the period counts from the last window", "[scenario]") {
  Rig rig;
  rig.consume(any_of(CountWindow{3}, PeriodWindow{2s}));
  rig.pass_until(1s);
  rig.append(1, 2, 3);
  rig.pass_until(1500ms);
  rig.append(4);
  rig.pass_until(5s);
  CHECK(rig.items() == Windows<>{{1, 2, 3}, {4}});
  CHECK(rig.times() == Times{1s, 3s});
  CHECK(rig.reasons() == Names{"count", "period"});
  rig.close();
}

TEST_CASE("scenario 12: five items or 2 s, one each 300 ms: the fifth closes the window",
          "[scenario]") {
  Rig rig;
  rig.consume(any_of(CountWindow{5}, MaxAgeWindow{2s}));
  for (int i = 1; i <= 6; ++i) {
    rig.pass_until(i * 300ms);
    rig.append(i);
  }
  rig.run();
  CHECK(rig.items() == Windows<>{{1, 2, 3, 4, 5}});
  CHECK(rig.times() == Times{1500ms});
  rig.close();
  CHECK(rig.items() == Windows<>{{1, 2, 3, 4, 5}, {6}});
  CHECK(rig.times() == Times{1500ms, 1800ms});
  CHECK(rig.reasons() == Names{"count", "close"});
}

namespace {

/// Always something pending, for 25 s, with a callback that takes so long until 20 s have passed.
struct Busy {
  explicit Busy(Duration callback_takes) {
    rig.consume(RelaxedTimeWindow{1s}, [this, callback_takes](Window<int>&) {
      calls.push_back(rig.now());
      (void)rig.stream.append(1);  // so that something is pending when it returns
      if (rig.now() < 20s) rig.clock.advance(callback_takes);
    });
    while (rig.now() < 25s) {
      rig.append(1);
      rig.pass_until(rig.now() + 100ms, 100ms);
    }
    rig.close();
  }
  [[nodiscard]] std::ptrdiff_t calls_in_20_s() const {
    return std::count_if(calls.begin(), calls.end(), [](Duration t) { return t <= 20s; });
  }

  Rig<> rig;
  Times calls;
};

}  // namespace

TEST_CASE("scenario 17: a callback of 0.7 s runs at each tick of a relaxed second, without drift",
          "[scenario]") {
  const Busy busy(700ms);
  CHECK(busy.calls_in_20_s() == 20);
  REQUIRE(busy.calls.size() >= 20);
  for (int k = 0; k < 20; ++k) CHECK(busy.calls[static_cast<std::size_t>(k)] == (k + 1) * 1s);
}

TEST_CASE("scenario 17: a callback of 2 s runs at every second tick, and no burst follows",
          "[scenario]") {
  const Busy busy(2s);
  CHECK(busy.calls_in_20_s() == 10);
  REQUIRE(busy.calls.size() == 10 + 5 + 1);  // the last one is the close's
  for (int k = 0; k < 10; ++k) CHECK(busy.calls[static_cast<std::size_t>(k)] == (2 * k + 1) * 1s);
  for (int k = 0; k < 5; ++k)  // the last slow one ended at 21 s
    CHECK(busy.calls[static_cast<std::size_t>(10 + k)] == (21 + k) * 1s);
}

TEST_CASE("scenario 19: a consumer five intervals late finds every item in its own window",
          "[scenario]") {
  Rig rig;
  rig.consume(FixedTimeWindow{1s});
  for (int i = 0; i < 10; ++i) {
    rig.leap_to(i * 500ms);
    rig.append(i);
  }
  rig.leap_to(5s);
  CHECK(rig.windows.empty());
  rig.run();
  CHECK(rig.items() == Windows<>{{0, 1}, {2, 3}, {4, 5}, {6, 7}, {8, 9}});
  CHECK(rig.bounds() == Times{0s, 1s, 1s, 2s, 2s, 3s, 3s, 4s, 4s, 5s});
  CHECK(rig.times() == Times(5, 5s));
  rig.close();
}
