// The pictures of docs/concepts.md, as far as they are about these emitters.

#include <fmt/format.h>

#include "event_rig.hpp"

using namespace microbatch;
using namespace std::chrono_literals;
using test::Event;
using test::EventRig;
using test::Lines;
using test::Rig;

namespace {

/// The eight items of the pictures; what left, and when: `abc 600`.
template <class E>
Lines picture(E emitter, Duration callback = {}, Duration per_item = {}) {
  Rig<char> rig;
  Lines lines;
  const auto arrivals =
      std::array{std::pair{200ms, 'a'},  std::pair{400ms, 'b'},  std::pair{600ms, 'c'},
                 std::pair{1200ms, 'd'}, std::pair{1800ms, 'e'}, std::pair{2000ms, 'f'},
                 std::pair{2200ms, 'g'}, std::pair{3400ms, 'h'}};
  std::size_t next = 0;
  const auto arrive_until = [&](Duration t) {
    for (; next < arrivals.size() && arrivals[next].first <= t; ++next) {
      rig.leap_to(arrivals[next].first);
      rig.append(char{arrivals[next].second});
    }
    rig.leap_to(t);
  };
  rig.consume(std::move(emitter), [&](Window<char>& window) {
    lines.push_back(
        fmt::format("{} {}", std::string(window.begin(), window.end()), rig.now() / 1ms));
    arrive_until(rig.now() + callback + static_cast<std::int64_t>(window.size()) * per_item);
  });
  while (rig.now() < 6s) {
    arrive_until(rig.now() + 10ms);
    rig.run();
  }
  rig.close();
  return lines;
}

}  // namespace

TEST_CASE("pictures: sliding count, session, hopping, tiers, opportunistic", "[windows]") {
  CHECK(picture(SlidingCountWindow{4, 2}) ==
        Lines{"abcd 1200", "cdef 2000", "efgh 3400", "gh 6000"});
  CHECK(picture(SessionWindow{400ms}) == Lines{"abc 1000", "d 1600", "efg 2600", "h 3800"});
  CHECK(picture(HoppingWindow{2s, 1s}) ==
        Lines{"abc 1000", "abcde 2000", "defg 3000", "fgh 4000", "h 5000"});
  CHECK(picture(TieredWindow{{3, 500ms}, {1, 1s}}) ==
        Lines{"abc 700", "def 2000", "g 3200", "h 4400"});
  CHECK(picture(OpportunisticWindow{}, 500ms) ==
        Lines{"a 200", "bc 700", "d 1200", "e 1800", "fg 2300", "h 3400"});
}

TEST_CASE("pictures: event time", "[windows]") {
  EventRig rig;
  SECTION("tumbling") {
    rig.consume(
        TumblingWindow{10s, test::second_of, {.out_of_orderness = 2s, .allowed_lateness = 10s}});
    for (const int second : {1, 8, 11, 9, 12, 4, 23, 3, 36, 5}) rig.bring({second});
    rig.close();
    CHECK(rig.take_lines() == Lines{"watermark 0-10: abd", "late 0-10: f", "watermark 10-20: ce",
                                    "too_late: h", "watermark 20-30: g", "too_late: j",
                                    "close 30-40: i"});
  }
  SECTION("session") {
    rig.consume(SessionWindow{5s, test::second_of, {.out_of_orderness = 5s}});
    rig.bring({1, 9, 5, 30});
    CHECK(rig.take_lines() == Lines{"watermark 1-14: abc"});
    rig.close();
  }
  SECTION("by key") {
    rig.consume(by_key([](const Event& e) { return e.key; }, CountWindow{3}));
    for (const char name : {'a', 'B', 'c', 'D', 'e', 'F', 'g', 'h'})
      rig.bring_event(1, name, name < 'a' ? 'A' : 'a');
    CHECK(rig.take_lines() == Lines{"count a: ace", "count A: BDF"});
    rig.close();
  }
}
