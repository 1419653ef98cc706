#include "support/rig.hpp"

using namespace microbatch;
using namespace std::chrono_literals;
using test::Names;
using test::Rig;
using test::Times;
using test::Windows;

TEST_CASE("RelaxedTimeWindow: whatever is there leaves at each tick", "[emitter]") {
  Rig rig;
  rig.consume(RelaxedTimeWindow{1s});
  rig.pass_until(200ms);
  rig.append(1, 2);
  rig.pass_until(1100ms);
  rig.append(3);
  rig.pass_until(2500ms);
  rig.append(4);
  rig.pass_until(5s);
  CHECK(rig.items() == Windows<>{{1, 2}, {3}, {4}});
  CHECK(rig.times() == Times{1s, 2s, 3s});
  CHECK(rig.reasons() == Names{"interval", "interval", "interval"});
  rig.close();
}

TEST_CASE("RelaxedTimeWindow: after 1000 ticks, tick 1000 is at start + 1000 intervals",
          "[emitter]") {
  Rig rig;
  rig.consume(RelaxedTimeWindow{10ms}, [&](Window<int>&) { rig.clock.advance(3333us); });
  while (rig.windows.size() < 1000 && rig.now() < 11s) {
    rig.append(1);
    rig.pass_until(rig.now() + 10ms / 4, 10ms / 4);
  }
  REQUIRE(rig.windows.size() == 1000);
  // The test looks at the clock in steps of 2.5 ms, off the grid of the callback's 3.333 ms.
  CHECK(rig.windows[999].at >= 1000 * 10ms);
  CHECK(rig.windows[999].at < 1000 * 10ms + 2500us);
}

TEST_CASE("RelaxedTimeWindow: the engine's timer stays on the grid for 1000 ticks", "[emitter]") {
  testing::ManualClock clock;
  const TimePoint start = clock.now();
  Stream<int> stream({.clock = clock});
  Engine<int> engine(stream, RelaxedTimeWindow{7ms}, [](Window<int>&) {});
  bool on_the_grid = true;
  for (int tick = 1; tick <= 1000; ++tick) {
    REQUIRE(stream.append(tick) == AppendResult::accepted);
    const TimePoint next = engine.step(clock.now());
    on_the_grid = on_the_grid && next == start + tick * 7ms;
    clock.set(next + std::chrono::microseconds(tick));  // the loop is a little late, always
    engine.step(clock.now());
  }
  CHECK(on_the_grid);
  CHECK(engine.stats().windows == 1000);
}

TEST_CASE("RelaxedTimeWindow: an idle grid needs no timer, and an item waits for the next tick",
          "[emitter]") {
  testing::ManualClock clock;
  const TimePoint start = clock.now();
  Stream<int> stream({.clock = clock});
  Engine<int> engine(stream, RelaxedTimeWindow{1s}, [](Window<int>&) {});
  CHECK(engine.step(clock.now()) == never);
  clock.advance(5400ms);
  REQUIRE(stream.append(1) == AppendResult::accepted);
  CHECK(engine.step(clock.now()) == start + 6s);
  clock.set(start + 6s);
  CHECK(engine.step(clock.now()) == never);
  CHECK(engine.stats().windows == 1);
}

TEST_CASE("RelaxedTimeWindow: a consumer that sleeps through ticks emits once, then goes on",
          "[emitter]") {
  Rig rig;
  rig.consume(RelaxedTimeWindow{1s});
  rig.pass_until(500ms);
  rig.append(1);
  rig.leap_to(5200ms);
  rig.run();
  CHECK(rig.items() == Windows<>{{1}});
  CHECK(rig.times() == Times{5200ms});
  rig.append(2);
  rig.pass_until(5990ms);
  CHECK(rig.windows.size() == 1);
  rig.pass_until(6s);
  CHECK(rig.times() == Times{5200ms, 6s});
  rig.close();
}

TEST_CASE("RelaxedTimeWindow: a late consumer knows when the item after an idle spell came",
          "[emitter]") {
  Rig rig;
  rig.consume(RelaxedTimeWindow{1s});
  rig.at(3s);  // idle
  rig.leap_to(3400ms);
  rig.append(1);
  rig.leap_to(5200ms);  // tick 4 has passed meanwhile
  rig.run();
  CHECK(rig.times() == Times{5200ms});
  rig.close();
}

TEST_CASE("RelaxedTimeWindow: with max_items, one window of at most so many per tick",
          "[emitter]") {
  Rig rig;
  rig.consume(RelaxedTimeWindow{1s, {.max_items = 3}});
  rig.append_numbers(1, 7);
  rig.pass_until(5s);
  CHECK(rig.items() == Windows<>{{1, 2, 3}, {4, 5, 6}, {7}});
  CHECK(rig.times() == Times{1s, 2s, 3s});
  rig.close();
}

TEST_CASE("RelaxedTimeWindow: with all_per_tick, windows until nothing is left", "[emitter]") {
  Rig rig;
  rig.consume(RelaxedTimeWindow{1s, {.max_items = 3, .all_per_tick = true}});
  SECTION("a remainder") {
    rig.append_numbers(1, 7);
    rig.pass_until(1500ms);
    CHECK(rig.items() == Windows<>{{1, 2, 3}, {4, 5, 6}, {7}});
    CHECK(rig.times() == Times{1s, 1s, 1s});
  }
  SECTION("no remainder") {
    rig.append_numbers(1, 6);
    rig.pass_until(1500ms);
    CHECK(rig.items() == Windows<>{{1, 2, 3}, {4, 5, 6}});
  }
  const auto windows = rig.windows.size();
  rig.append(8);
  rig.pass_until(1990ms);
  CHECK(rig.windows.size() == windows);
  rig.pass_until(2s);
  CHECK(rig.windows.back().items == std::vector{8});
  CHECK(rig.windows.back().at == 2s);
  rig.close();
}

TEST_CASE("RelaxedTimeWindow: a flush neither moves the grid nor passes max_items", "[emitter]") {
  Rig rig;
  rig.consume(RelaxedTimeWindow{1s, {.max_items = 3}});
  rig.pass_until(300ms);
  rig.append_numbers(1, 5);
  rig.consumer->flush();
  CHECK(rig.items() == Windows<>{{1, 2, 3}, {4, 5}});
  CHECK(rig.reasons() == Names{"flush", "flush"});
  rig.append(6);
  rig.pass_until(3s);
  CHECK(rig.times() == Times{300ms, 300ms, 1s});
  rig.close();
}

TEST_CASE("RelaxedTimeWindow: settings out of range name the argument", "[emitter]") {
  CHECK_THROWS_WITH(RelaxedTimeWindow{0s}, ContainsSubstring("RelaxedTimeWindow: interval"));
  CHECK_THROWS_WITH((RelaxedTimeWindow{1s, {.max_items = 0}}),
                    ContainsSubstring("RelaxedTimeWindow: max_items"));
}
