#include "support/rig.hpp"

using namespace microbatch;
using namespace std::chrono_literals;
using test::Names;
using test::Rig;
using test::Times;
using test::Windows;

TEST_CASE("FixedTimeWindow: a cell is half open: its opening belongs to it, its closing does not",
          "[emitter]") {
  Rig rig;
  rig.consume(FixedTimeWindow{1s});
  rig.at(1s);
  rig.append(1);
  rig.at(2s - 1ns);
  rig.append(2);
  rig.at(2s);
  rig.append(3);
  rig.at(3s);
  CHECK(rig.items() == Windows<>{{1, 2}, {3}});
  CHECK(rig.bounds() == Times{1s, 2s, 2s, 3s});
  rig.close();
}

TEST_CASE("FixedTimeWindow: an item at the closing is in the next cell though the engine was late",
          "[emitter]") {
  Rig rig;
  rig.consume(FixedTimeWindow{1s});
  rig.leap_to(500ms);
  rig.append(1);
  rig.leap_to(1s);
  rig.append(2);  // before the engine has had its turn
  rig.run();
  CHECK(rig.items() == Windows<>{{1}});
  rig.at(2s);
  CHECK(rig.items() == Windows<>{{1}, {2}});
  rig.close();
}

TEST_CASE("FixedTimeWindow: the items of several producers share a cell, by arrival", "[emitter]") {
  Rig rig;
  rig.consume(FixedTimeWindow{1s});
  auto a = rig.stream.producer();
  auto b = rig.stream.producer();
  for (int i = 0; i < 8; ++i) {
    rig.leap_to(i * 300ms);
    REQUIRE((i % 2 == 0 ? a : b).append(i) == AppendResult::accepted);
  }
  rig.at(3s);
  CHECK(rig.items() == Windows<>{{0, 1, 2, 3}, {4, 5, 6}, {7}});
  rig.close();
}

TEST_CASE("FixedTimeWindow: no window for a cell without items, and no timer while idle",
          "[emitter]") {
  testing::ManualClock clock;
  const TimePoint start = clock.now();
  Stream<int> stream({.clock = clock});
  Engine<int> engine(stream, FixedTimeWindow{1s}, [](Window<int>&) {});
  CHECK(engine.step(clock.now()) == never);
  clock.advance(5400ms);
  REQUIRE(stream.append(1) == AppendResult::accepted);
  CHECK(engine.step(clock.now()) == start + 6s);
  clock.set(start + 6s);
  CHECK(engine.step(clock.now()) == never);
  CHECK(engine.stats().windows == 1);
}

TEST_CASE("FixedTimeWindow: with empty windows, every cell has one", "[emitter]") {
  Rig rig;
  rig.consume(FixedTimeWindow{1s, {.empty_windows = true}});
  rig.pass_until(2500ms, 500ms);
  rig.append(1);
  rig.pass_until(4s, 500ms);
  CHECK(rig.items() == Windows<>{{}, {}, {1}, {}});
  CHECK(rig.times() == Times{1s, 2s, 3s, 4s});
  CHECK(rig.bounds() == Times{0s, 1s, 1s, 2s, 2s, 3s, 3s, 4s});
  CHECK(rig.reasons() == Names(4, "interval"));
  rig.close();
  CHECK(rig.windows.size() == 4);
}

TEST_CASE("FixedTimeWindow: a late consumer that catches up gives every missed cell its window",
          "[emitter]") {
  Rig rig;
  rig.consume(FixedTimeWindow{1s, {.empty_windows = true, .late = Late::catch_up}});
  rig.leap_to(500ms);
  rig.append(1);
  rig.leap_to(4500ms);
  rig.append(2);
  rig.at(7s);
  CHECK(rig.items() == Windows<>{{1}, {}, {}, {}, {2}, {}, {}});
  CHECK(rig.windows.back().opened == 6s);
  rig.close();
}

TEST_CASE("FixedTimeWindow: a late consumer that skips gives none to missed cells without items",
          "[emitter]") {
  Rig rig;
  rig.consume(FixedTimeWindow{1s, {.empty_windows = true, .late = Late::skip}});
  rig.leap_to(500ms);
  rig.append(1);
  rig.leap_to(4500ms);
  rig.append(2);
  rig.leap_to(7s);
  rig.run();
  CHECK(rig.items() == Windows<>{{1}, {2}});
  CHECK(rig.bounds() == Times{0s, 1s, 4s, 5s});
  rig.pass_until(9s, 500ms);  // in time again: the empty windows go on
  CHECK(rig.items() == Windows<>{{1}, {2}, {}, {}});
  CHECK(rig.windows.back().opened == 8s);
  rig.close();
}

TEST_CASE("FixedTimeWindow: a consumer that skips from the start misses no item's cell",
          "[emitter]") {
  Rig rig;
  rig.consume(FixedTimeWindow{1s, {.empty_windows = true, .late = Late::skip}});
  rig.leap_to(100s + 500ms);
  rig.run();
  CHECK(rig.windows.size() <= 1);  // not a hundred
  rig.append(1);
  rig.pass_until(101s, 500ms);
  CHECK(rig.windows.back().items == std::vector{1});
  CHECK(rig.windows.back().opened == 100s);
  rig.close();
}

TEST_CASE("FixedTimeWindow: a flush splits a cell, and the parts share its bounds", "[emitter]") {
  Rig rig;
  const bool empty_windows = GENERATE(false, true);
  rig.consume(FixedTimeWindow{1s, {.empty_windows = empty_windows}});
  rig.at(200ms);
  rig.append(1);
  rig.at(500ms);
  rig.consumer->flush();
  CHECK(rig.items() == Windows<>{{1}});
  SECTION("the rest of the cell comes at its end") {
    rig.at(700ms);
    rig.append(2);
    rig.at(1s);
    CHECK(rig.items() == Windows<>{{1}, {2}});
    CHECK(rig.bounds() == Times{0s, 1s, 0s, 1s});
    CHECK(rig.reasons() == Names{"flush", "interval"});
  }
  SECTION("a cell whose items all left by flush is not empty") {
    rig.at(1s);
    CHECK(rig.windows.size() == 1);
  }
  SECTION("the next cell has its own bounds") {
    rig.at(1200ms);
    rig.append(3);
    rig.at(2s);
    CHECK(rig.items() == Windows<>{{1}, {3}});
    CHECK(rig.bounds() == Times{0s, 1s, 1s, 2s});
  }
  rig.close();
}

TEST_CASE("FixedTimeWindow: a flush by a late consumer still parts the cells", "[emitter]") {
  Rig rig;
  rig.consume(FixedTimeWindow{1s});
  rig.leap_to(500ms);
  rig.append(1);
  rig.leap_to(1500ms);
  rig.append(2);
  rig.leap_to(2500ms);
  rig.append(3);
  SECTION("flush") { rig.consumer->flush(); }
  SECTION("close") { rig.close(); }
  CHECK(rig.items() == Windows<>{{1}, {2}, {3}});
  CHECK(rig.bounds() == Times{0s, 1s, 1s, 2s, 2s, 3s});
}

TEST_CASE("FixedTimeWindow: items from before the consumer are in the cells of their arrival",
          "[emitter]") {
  Rig rig({.arrival_stamps = true});
  rig.leap_to(200ms);
  rig.append(1);
  rig.leap_to(1400ms);
  rig.append(2);
  rig.leap_to(2500ms);
  SECTION("on the consumer's own grid") {
    rig.consume(FixedTimeWindow{1s});
    rig.run();
    CHECK(rig.items() == Windows<>{{1}, {2}});
    CHECK(rig.bounds() == Times{-500ms, 500ms, 500ms, 1500ms});
  }
  SECTION("on a given one") {
    rig.consume(FixedTimeWindow{1s, {.origin = rig.start}});
    rig.run();
    CHECK(rig.items() == Windows<>{{1}, {2}});
    CHECK(rig.bounds() == Times{0s, 1s, 1s, 2s});
  }
  SECTION("on one that begins in the future") {
    rig.consume(FixedTimeWindow{1s, {.origin = rig.start + 10s}});
    rig.run();
    CHECK(rig.bounds() == Times{0s, 1s, 1s, 2s});
  }
  rig.close();
}

TEST_CASE("FixedTimeWindow: after 1000 cells the grid has not drifted", "[emitter]") {
  testing::ManualClock clock;
  const TimePoint start = clock.now();
  Stream<int> stream({.clock = clock});
  bool exact = true;
  int windows = 0;
  Engine<int> engine(stream, FixedTimeWindow{7ms}, [&](Window<int>& window) {
    exact = exact && window.opened_at() == start + windows * 7ms &&
            window.closed_at() == start + (windows + 1) * 7ms && window.size() == 1;
    ++windows;
  });
  for (int cell = 0; cell < 1000; ++cell) {
    REQUIRE(stream.append(cell) == AppendResult::accepted);
    CHECK(engine.step(clock.now()) == start + (cell + 1) * 7ms);
    clock.set(start + (cell + 1) * 7ms + std::chrono::microseconds(cell));
    engine.step(clock.now());
  }
  CHECK(exact);
  CHECK(windows == 1000);
}

TEST_CASE("FixedTimeWindow: an interval that is not positive names the argument", "[emitter]") {
  CHECK_THROWS_WITH(FixedTimeWindow{0s}, ContainsSubstring("FixedTimeWindow: interval"));
  CHECK_THROWS_AS(FixedTimeWindow{-1ms}, ConfigError);
}
