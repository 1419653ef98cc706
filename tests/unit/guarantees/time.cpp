// That fixed windows mean what they say, and that time does not drift.

#include "support/rig.hpp"

using namespace microbatch;
using namespace std::chrono_literals;
using test::Rig;

TEST_CASE(
    "guarantee 4: a fixed window holds what arrived from its opening to before its closing, on one "
    "grid",
    "[guarantee]") {
  // An item is its own time of arrival.
  Rig<Duration> rig({.arrival_stamps = true});
  auto other = rig.stream.producer();
  std::vector<Duration> appended;
  const auto append_at = [&](std::initializer_list<Duration> times) {
    for (const Duration t : times) {
      rig.leap_to(t);
      const auto result = appended.size() % 2 == 0 ? rig.stream.append(t) : other.append(t);
      CHECK(result == AppendResult::accepted);
      appended.push_back(t);
    }
  };
  constexpr Duration origin = 2300ms;
  append_at({400ms, 1299ms, 1300ms, 2200ms});  // before there is a consumer
  rig.leap_to(origin);
  rig.consume(FixedTimeWindow{1s});
  append_at({2300ms, 3299ms, 3300ms - 1ns, 3300ms, 3300ms});
  rig.run();
  append_at({4300ms, 4500ms});
  rig.consumer->flush();  // in the midst of the cell from 4.3 s
  append_at({4501ms, 5300ms, 5300ms});
  rig.run();
  append_at({9300ms - 1ns, 9300ms, 9999ms});
  rig.at(500s);  // late, by many cells without items
  append_at({500s});
  rig.at(502s);
  rig.close();

  Duration before = Duration::min();
  for (const auto& window : rig.windows) {
    CAPTURE(window.opened.count(), window.closed.count());
    CHECK(window.closed - window.opened == 1s);
    CHECK((window.opened - origin) % 1s == 0s);
    CHECK(window.opened >= before);
    before = window.opened;
    CHECK(!window.items.empty());  // nobody asked for windows of nothing
    for (const Duration t : window.items) {
      CHECK(t >= window.opened);
      CHECK(t < window.closed);
    }
  }
  CHECK(rig.flat() == appended);
  CHECK(rig.windows.size() == 10);  // nine cells have items, and one of them was split
}

TEST_CASE("guarantee 5: after 1000 late ticks, tick 1000 is at start + 1000 intervals",
          "[guarantee]") {
  STATIC_REQUIRE(TimePoint::clock::is_steady);
  Rig rig;
  rig.consume(RelaxedTimeWindow{1s});
  for (int k = 1; k <= 1000; ++k) {
    rig.append(k);
    rig.at(k * 1s - 1ns);
    REQUIRE(rig.windows.size() == static_cast<std::size_t>(k - 1));
    rig.at(k * 1s + ((1000 - k) * 37 % 400) * 1ms);
    REQUIRE(rig.windows.size() == static_cast<std::size_t>(k));
  }
  CHECK(rig.times().back() == 1000s);
  rig.close();
}
