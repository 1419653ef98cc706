#include <cmath>

#include "support/rig.hpp"

using namespace microbatch;
using namespace std::chrono_literals;
using test::Names;
using test::Rig;
using test::Times;
using test::Windows;

TEST_CASE("MaxAgeWindow: the age counts from the oldest item, and takes all that is pending",
          "[emitter]") {
  Rig rig;
  rig.consume(MaxAgeWindow{2s});
  rig.pass_until(400ms);
  rig.append(1);
  rig.pass_until(800ms);
  rig.append(2);
  rig.pass_until(2800ms);
  rig.append(3);
  rig.pass_until(6s);
  CHECK(rig.items() == Windows<>{{1, 2}, {3}});
  CHECK(rig.times() == Times{2400ms, 4800ms});
  CHECK(rig.reasons() == Names{"age", "age"});
  CHECK(rig.windows[0].oldest == 400ms);
  CHECK(rig.windows[1].oldest == 2800ms);
  CHECK(rig.bounds() == Times{0s, 2400ms, 2400ms, 4800ms});
  rig.close();
}

TEST_CASE("MaxAgeWindow: one nanosecond before its age an item stays", "[emitter]") {
  Rig rig;
  rig.consume(MaxAgeWindow{2s});
  rig.append(1);
  rig.at(2s - 1ns);
  CHECK(rig.windows.empty());
  rig.at(2s);
  CHECK(rig.windows.size() == 1);
  rig.close();
}

TEST_CASE("MaxAgeWindow: the oldest counts, whichever producer it came from", "[emitter]") {
  Rig rig;
  rig.consume(MaxAgeWindow{1s});
  auto a = rig.stream.producer();
  auto b = rig.stream.producer();
  rig.pass_until(100ms);
  REQUIRE(b.append(1) == AppendResult::accepted);
  rig.pass_until(200ms);
  REQUIRE(a.append(2) == AppendResult::accepted);
  rig.pass_until(3s);
  CHECK(rig.items() == Windows<>{{1, 2}});
  CHECK(rig.times() == Times{1100ms});
  rig.close();
}

TEST_CASE("MaxAgeWindow: an idle consumer sets no timer, a waiting one sets one", "[emitter]") {
  testing::ManualClock clock;
  Stream<int> stream({.clock = clock});
  Engine<int> engine(stream, MaxAgeWindow{2s}, [](Window<int>&) {});
  CHECK(engine.step(clock.now()) == never);
  const TimePoint appended = clock.now();
  REQUIRE(stream.append(1) == AppendResult::accepted);
  CHECK(engine.step(clock.now()) == appended + 2s);
  clock.advance(1s);
  CHECK(engine.step(clock.now()) == appended + 2s);
  clock.advance(1s);
  CHECK(engine.step(clock.now()) == never);
  CHECK(engine.stats().delivered == 1);
}

TEST_CASE("MaxAgeWindow: a shorter age takes effect for what is pending", "[emitter]") {
  Rig rig;
  MaxAgeWindow age{1h};
  rig.consume(age);
  rig.append(1);
  rig.at(5s);
  CHECK(rig.windows.empty());
  age.set_age(10s);
  rig.run();
  CHECK(rig.windows.empty());
  rig.at(10s);
  CHECK(rig.items() == Windows<>{{1}});
  rig.append(2);
  rig.at(12s);
  age.set_age(1s);  // overdue already
  rig.run();
  CHECK(rig.items() == Windows<>{{1}, {2}});
  CHECK(age.age() == 1s);
  rig.close();
}

TEST_CASE("MaxAgeWindow: an age that is not positive, or no number, names the argument",
          "[emitter]") {
  CHECK_THROWS_WITH(MaxAgeWindow{0s}, ContainsSubstring("MaxAgeWindow: age"));
  CHECK_THROWS_AS(MaxAgeWindow{-1s}, ConfigError);
  CHECK_THROWS_AS(MaxAgeWindow{std::chrono::duration<double>(std::nan(""))}, ConfigError);
  CHECK_THROWS_AS(MaxAgeWindow{std::chrono::hours::max()}, ConfigError);
  CHECK_THROWS_AS(MaxAgeWindow{std::chrono::duration<double>(HUGE_VAL)}, ConfigError);
  MaxAgeWindow age{1s};
  CHECK_THROWS_AS(age.set_age(0s), ConfigError);
  CHECK(age.age() == 1s);
}

TEST_CASE("MaxAgeWindow: a nanosecond is raised to the shortest interval", "[emitter]") {
  CHECK(MaxAgeWindow{1ns}.age() == 1us);
  CHECK(MaxAgeWindow{2us}.age() == 2us);
}

TEST_CASE("MaxAgeWindow: on a stream that holds items without stamps it is refused", "[emitter]") {
  Rig rig;
  rig.append(1);
  CHECK_THROWS_WITH(rig.consume(MaxAgeWindow{1s}), ContainsSubstring("arrival_stamps"));
  rig.consume(CountWindow{1});
  rig.close();
  CHECK(rig.items() == Windows<>{{1}});
}

TEST_CASE("MaxAgeWindow: items from before the consumer count their age from their arrival",
          "[emitter]") {
  Rig rig({.arrival_stamps = true});
  rig.append(1);
  rig.leap_to(1500ms);
  rig.consume(MaxAgeWindow{2s});
  rig.pass_until(5s);
  CHECK(rig.times() == Times{2s});
  rig.close();
}
