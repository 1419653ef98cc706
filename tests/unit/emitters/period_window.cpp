#include "support/rig.hpp"

using namespace microbatch;
using namespace std::chrono_literals;
using test::Names;
using test::Rig;
using test::Times;
using test::Windows;

TEST_CASE("PeriodWindow: the first period counts from the start, the next from the last window",
          "[emitter]") {
  Rig rig;
  rig.consume(PeriodWindow{2s});
  rig.pass_until(400ms);
  rig.append(1);
  rig.pass_until(1900ms);
  rig.append(2);
  rig.pass_until(2900ms);
  rig.append(3);
  rig.pass_until(6s);
  CHECK(rig.items() == Windows<>{{1, 2}, {3}});
  CHECK(rig.times() == Times{2s, 4s});
  CHECK(rig.reasons() == Names{"period", "period"});
  rig.close();
}

TEST_CASE("PeriodWindow: the first item after an idle spell leaves at once", "[emitter]") {
  Rig rig;
  rig.consume(PeriodWindow{2s});
  rig.pass_until(7300ms);
  rig.append(1);
  rig.run();
  CHECK(rig.times() == Times{7300ms});
  rig.append(2);
  rig.pass_until(12s);
  CHECK(rig.times() == Times{7300ms, 9300ms});
  rig.close();
}

TEST_CASE("PeriodWindow: a flush counts as a window", "[emitter]") {
  Rig rig;
  rig.consume(PeriodWindow{2s});
  rig.append(1);
  rig.pass_until(1500ms);
  rig.consumer->flush();
  rig.append(2);
  rig.pass_until(6s);
  CHECK(rig.times() == Times{1500ms, 3500ms});
  CHECK(rig.reasons() == Names{"flush", "period"});
  rig.close();
}

TEST_CASE("PeriodWindow: an idle consumer sets no timer", "[emitter]") {
  testing::ManualClock clock;
  Stream<int> stream({.clock = clock});
  Engine<int> engine(stream, PeriodWindow{2s}, [](Window<int>&) {});
  const TimePoint start = clock.now();
  CHECK(engine.step(clock.now()) == never);
  clock.advance(500ms);
  REQUIRE(stream.append(1) == AppendResult::accepted);
  CHECK(engine.step(clock.now()) == start + 2s);
}

TEST_CASE("PeriodWindow: it needs no stamps, and takes items from before the consumer",
          "[emitter]") {
  Rig rig;
  rig.append(1);
  rig.consume(PeriodWindow{2s});
  rig.pass_until(3s);
  CHECK(rig.items() == Windows<>{{1}});
  CHECK(rig.times() == Times{2s});
  rig.close();
}

TEST_CASE("PeriodWindow: a period that is not positive names the argument", "[emitter]") {
  CHECK_THROWS_WITH(PeriodWindow{0s}, ContainsSubstring("PeriodWindow: period"));
  CHECK_THROWS_AS(PeriodWindow{-1s}, ConfigError);
}
