#include "support/rig.hpp"

using namespace microbatch;
using namespace std::chrono_literals;
using test::Names;
using test::Rig;
using test::Times;
using test::Windows;

TEST_CASE("SessionWindow: a session ends with a gap", "[windows]") {
  Rig rig;
  rig.consume(SessionWindow{1s});
  const auto at = [&](Duration t, int item) {
    rig.pass_until(t);
    rig.append(item);
    rig.run();
  };
  at(0s, 1);
  at(500ms, 2);
  at(1400ms, 3);
  rig.pass_until(2390ms);
  CHECK(rig.windows.empty());
  rig.pass_until(5s);
  CHECK(rig.items() == Windows<>{{1, 2, 3}});
  CHECK(rig.times() == Times{2400ms});
  CHECK(rig.reasons() == Names{"gap"});
  at(6s, 4);
  rig.close();
  CHECK(rig.windows.back().items == std::vector{4});
}

TEST_CASE("SessionWindow: sessions are told apart also when the consumer is late", "[windows]") {
  Rig rig;
  rig.consume(SessionWindow{1s});
  int item = 0;
  for (const Duration t : {0ms, 900ms, 1900ms, 2500ms, 6000ms, 7000ms}) {
    rig.leap_to(t);
    rig.append(++item);
  }
  rig.at(1min);
  CHECK(rig.items() == Windows<>{{1, 2}, {3, 4}, {5}, {6}});  // a gap is half open
  rig.close();
}

TEST_CASE("SessionWindow: a count beside it splits a long session", "[windows]") {
  Rig rig;
  rig.consume(any_of(SessionWindow{1s}, CountWindow{2}));
  rig.append(1, 2, 3);
  rig.pass_until(3s);
  CHECK(rig.items() == Windows<>{{1, 2}, {3}});
  CHECK(rig.reasons() == Names{"count", "gap"});
  rig.close();
}

TEST_CASE("SessionWindow: a gap of 0 is refused", "[windows]") {
  CHECK_THROWS_WITH(SessionWindow{0s}, ContainsSubstring("SessionWindow: gap must be above 0"));
}

TEST_CASE("TieredWindow: many items soon, few items later", "[windows]") {
  Rig rig;
  rig.consume(TieredWindow{{4, 1s}, {2, 5s}, {1, 10s}});
  SECTION("many: at the first tier") {
    rig.append_numbers(1, 6);
    rig.pass_until(20s);
    CHECK(rig.times() == Times{1s});
    CHECK(rig.windows[0].items.size() == 6);
  }
  SECTION("some: at the second") {
    rig.append(1, 2);
    rig.pass_until(20s);
    CHECK(rig.times() == Times{5s});
  }
  SECTION("one: at the last") {
    rig.append(1);
    rig.pass_until(20s);
    CHECK(rig.times() == Times{10s});
  }
  SECTION("what makes them enough comes later") {
    rig.append(1);
    rig.pass_until(3s);
    rig.append(2, 3);
    rig.run();
    CHECK(rig.windows.empty());
    rig.append(4);
    rig.run();
    CHECK(rig.times() == Times{3s});
  }
  rig.close();
}

TEST_CASE("TieredWindow: tiers that make no sense are refused", "[windows]") {
  using Tiers = std::vector<Tier>;
  CHECK_THROWS_WITH(TieredWindow(Tiers{}), ContainsSubstring("no tiers"));
  CHECK_THROWS_WITH(TieredWindow(Tiers{{0, 1s}}), ContainsSubstring("items must be from 1"));
  CHECK_THROWS_WITH(TieredWindow(Tiers{{1, -1s}}), ContainsSubstring("must not be negative"));
  CHECK_THROWS_WITH(TieredWindow(Tiers{{10, 1s}, {10, 2s}}), ContainsSubstring("fewer items"));
  CHECK_THROWS_WITH(TieredWindow(Tiers{{10, 2s}, {5, 1s}}), ContainsSubstring("longer time"));
}

TEST_CASE("OpportunisticWindow: single items while the worker is free, all at once when it was not",
          "[windows]") {
  Rig rig;
  int calls = 0;
  rig.consume(any_of(OpportunisticWindow{}, CountWindow{3}), [&](Window<int>&) {
    if (++calls == 2) rig.append(3, 4, 5, 6, 7);
  });
  rig.append(1);
  rig.run();
  rig.append(2);
  rig.run();
  CHECK(rig.items() == Windows<>{{1}, {2}, {3, 4, 5}, {6, 7}});
  CHECK(rig.reasons()[0] == "free_worker");
  rig.close();
}

TEST_CASE("OpportunisticWindow: not before there are at least so many", "[windows]") {
  Rig rig;
  rig.consume(OpportunisticWindow{2});
  rig.append(1);
  rig.run();
  CHECK(rig.windows.empty());
  rig.append(2);
  rig.run();
  CHECK(rig.items() == Windows<>{{1, 2}});
  rig.close();
}

TEST_CASE("HoppingWindow: every second, the arrivals of the last two", "[windows]") {
  Rig rig;
  rig.consume(HoppingWindow{2s, 1s});
  const auto at = [&](Duration t, int item) {
    rig.pass_until(t);
    rig.append(item);
    rig.run();
  };
  at(100ms, 1);
  at(1100ms, 2);
  at(2000ms, 3);
  rig.pass_until(10s);
  CHECK(rig.items() == Windows<>{{1}, {1, 2}, {2, 3}, {3}});
  CHECK(rig.bounds() == Times{-1s, 1s, 0s, 2s, 1s, 3s, 2s, 4s});
  CHECK(rig.times() == Times{1s, 2s, 3s, 4s});
  CHECK(rig.stats().delivered == 3);
  CHECK(rig.stats().pending == 0);
  at(60s, 4);
  rig.pass_until(100s);
  CHECK(rig.windows.size() == 6);  // nothing is due between
  CHECK(rig.windows[4].at == 61s);
  rig.close();
}

TEST_CASE("HoppingWindow: the same when the consumer is late", "[windows]") {
  Rig rig;
  rig.consume(HoppingWindow{3s, 1s});
  int item = 0;
  for (const Duration t : {500ms, 1500ms, 4200ms}) {
    rig.leap_to(t);
    rig.append(++item);
  }
  rig.at(1min);
  CHECK(rig.items() == Windows<>{{1}, {1, 2}, {1, 2}, {2}, {3}, {3}, {3}});
  CHECK(rig.stats().delivered == 3);
  rig.close();
}

TEST_CASE("HoppingWindow: a flush takes what is there", "[windows]") {
  Rig rig;
  rig.consume(HoppingWindow{2s, 1s});
  rig.append(1);
  rig.at(1200ms);
  rig.append(2);
  rig.consumer->flush();
  CHECK(rig.items() == Windows<>{{1}, {1, 2}});
  rig.append(3);
  rig.pass_until(5s);
  CHECK(rig.items() == Windows<>{{1}, {1, 2}, {3}, {3}});
  rig.close();
}

TEST_CASE("HoppingWindow: hop 0 and a hop above the size are refused", "[windows]") {
  CHECK_THROWS_WITH((HoppingWindow{2s, 0s}),
                    ContainsSubstring("HoppingWindow: hop must be above 0"));
  CHECK_THROWS_WITH((HoppingWindow{2s, 3s}), ContainsSubstring("hop must be at most the size"));
  CHECK_THROWS_WITH((HoppingWindow{0s, 1s}), ContainsSubstring("HoppingWindow: size"));
  const auto when = [](int) { return 0s; };
  CHECK_THROWS_WITH((HoppingWindow{2s, 3s, when}),
                    ContainsSubstring("hop must be at most the size"));
}
