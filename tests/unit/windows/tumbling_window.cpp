#include <cmath>
#include <map>
#include <stdexcept>
#include <thread>

#include "event_rig.hpp"

using namespace microbatch;
using namespace std::chrono_literals;
using test::Event;
using test::EventRig;
using test::Lines;
using test::second_of;

TEST_CASE("TumblingWindow: a window leaves when the watermark has passed its end", "[windows]") {
  EventRig rig;
  rig.consume(TumblingWindow{10s, second_of});
  rig.bring({1, 5, 9});
  CHECK(rig.lines.empty());
  rig.bring({10});
  CHECK(rig.take_lines() == Lines{"watermark 0-10: abc"});
  rig.bring({35});
  CHECK(rig.take_lines() == Lines{"watermark 10-20: d"});  // those without items do not leave
  rig.close();
  CHECK(rig.take_lines() == Lines{"close 30-40: e"});
}

TEST_CASE("TumblingWindow: items may come out of order, as far as that is allowed", "[windows]") {
  EventRig rig;
  rig.consume(TumblingWindow{10s, second_of, {.out_of_orderness = 5s}});
  rig.bring({8, 12, 7, 14, 9});
  CHECK(rig.lines.empty());
  rig.bring({15});
  CHECK(rig.take_lines() == Lines{"watermark 0-10: ace"});
  rig.close();
  CHECK(rig.take_lines() == Lines{"close 10-20: bdf"});
}

TEST_CASE("TumblingWindow: late items leave by themselves, none is dropped", "[windows]") {
  EventRig rig;
  rig.consume(TumblingWindow{10s, second_of, {.allowed_lateness = 10s}});
  rig.bring({1, 11});
  CHECK(rig.take_lines() == Lines{"watermark 0-10: a"});
  rig.bring({9});
  CHECK(rig.take_lines() == Lines{"late 0-10: c"});
  rig.bring({20});
  CHECK(rig.take_lines() == Lines{"watermark 10-20: b"});
  rig.bring({2});
  CHECK(rig.take_lines() == Lines{"too_late: e"});
  rig.close();
  CHECK(rig.stats().delivered == 5);
}

TEST_CASE("TumblingWindow: lateness does not depend on how items were swept", "[windows]") {
  const auto lines = [](bool one_by_one) {
    EventRig rig;
    rig.consume(TumblingWindow{10s, second_of, {.out_of_orderness = 2s, .allowed_lateness = 5s}});
    char name = 'a';
    for (const int second : {3, 9, 11, 8, 12, 9, 4, 15, 7, 17, 2, 22, 13, 40, 19, 41}) {
      rig.append(Event{second, name++});
      if (one_by_one) rig.run();
    }
    rig.run();
    rig.close();
    // Late items may leave in more or fewer windows; which ones they are stays the same.
    std::map<std::string, std::string> items;
    for (const std::string& line : rig.lines) {
      const auto colon = line.find(": ");
      items[line.substr(0, colon)] += line.substr(colon + 2);
    }
    return items;
  };
  const auto all_at_once = lines(false);
  CHECK(all_at_once == lines(true));
  CHECK(all_at_once.at("watermark 0-10") == "abd");
  CHECK(all_at_once.at("late 0-10") == "fgi");
  CHECK(all_at_once.contains("too_late"));
}

TEST_CASE("TumblingWindow: windows are aligned to the origin", "[windows]") {
  EventRig rig;
  rig.consume(TumblingWindow{10s, second_of, {.origin = EventTime(3s)}});
  rig.bring({2, 3, 12, 13});
  CHECK(rig.take_lines() == Lines{"watermark -7-3: a", "watermark 3-13: bc"});
  rig.close();
}

TEST_CASE("TumblingWindow: the least partition counts", "[windows]") {
  struct TwoPartitions {
    using value_type = Event;
    void run(Feed<Event>& feed, std::stop_token) {
      auto put = [&, offset = std::int64_t{0}](std::uint32_t partition, Event event) mutable {
        REQUIRE(feed.append(event, {partition, offset++}) == AppendResult::accepted);
      };
      put(0, Event{5, 'a'});
      put(1, Event{3, 'b'});
      put(0, Event{15, 'c'});
      put(0, Event{25, 'd'});
      put(1, Event{9, 'e'});
      put(1, Event{12, 'f'});
    }
  };
  Lines lines;
  TwoPartitions source;
  const auto result = run(source, TumblingWindow{10s, second_of}, [&](Window<Event>& window) {
    lines.push_back(EventRig::line_of(window));
  });
  CHECK(lines == Lines{"watermark 0-10: abe", "close 10-20: cf", "close 20-30: d"});
  CHECK(result.stats.delivered == 6);
}

TEST_CASE("TumblingWindow: an idle stream closes its last window by the clock", "[windows]") {
  EventRig rig;
  rig.consume(TumblingWindow{10s, second_of, {.out_of_orderness = 1s, .idle_after = 3s}});
  rig.bring({4});
  rig.pass_until(6990ms);
  CHECK(rig.lines.empty());
  rig.pass_until(7s);  // 4 s - 1 s + 7 s: the end of the window
  CHECK(rig.take_lines() == Lines{"watermark 0-10: a"});
  rig.bring({8});
  CHECK(rig.take_lines() == Lines{"too_late: b"});
  rig.close();
}

TEST_CASE("TumblingWindow: not before the stream counts as idle", "[windows]") {
  EventRig rig;
  rig.consume(TumblingWindow{10s, second_of, {.idle_after = 30s}});
  rig.bring({9});
  rig.pass_until(29s);
  CHECK(rig.lines.empty());
  rig.pass_until(30s);
  CHECK(rig.take_lines() == Lines{"watermark 0-10: a"});
  rig.close();
}

TEST_CASE(
    "TumblingWindow: items that were there before a late consumer looked keep the stream awake",
    "[windows]") {
  EventRig rig;
  rig.consume(TumblingWindow{10s, second_of, {.idle_after = 2s}});
  rig.bring({1});
  rig.append(Event{2, 'x'});
  rig.leap_to(20s);
  rig.run();
  CHECK(rig.lines.empty());
  rig.pass_until(40s);
  CHECK(rig.take_lines() == Lines{"watermark 0-10: ax"});
  rig.close();
}

TEST_CASE("TumblingWindow: one clock far ahead closes no window", "[windows]") {
  EventRig rig;
  rig.consume(TumblingWindow{10s, second_of, {.max_jump = 60s}});
  rig.bring({1});
  rig.bring({1000});
  CHECK(rig.take_lines() == Lines{"unplaced: b"});
  rig.bring({2, 12});
  CHECK(rig.take_lines() == Lines{"watermark 0-10: ac"});
  SECTION("as far as time has passed here, time may have passed there") {
    rig.pass_until(1000s, 1s);
    rig.bring({1050});
    CHECK(rig.take_lines() == Lines{"watermark 10-20: d"});
  }
  SECTION("when all say so, it is so") {
    for (std::uint32_t i = 1; i < Watermark::believed_after; ++i) rig.bring({5000});
    CHECK(rig.windows.back().reason == Reason::unplaced);
    rig.lines.clear();
    rig.bring({5000});
    CHECK(rig.take_lines() == Lines{"watermark 10-20: d"});
  }
  rig.close();
}

TEST_CASE("TumblingWindow: an item without a usable time goes to the side output", "[windows]") {
  EventRig rig;
  const auto when = [](const Event& event) -> std::optional<std::chrono::seconds> {
    if (event.name == 'n') return {};
    if (event.name == 't') throw std::runtime_error("no time");
    return std::chrono::seconds(event.second);
  };
  rig.consume(TumblingWindow{10s, when});
  rig.bring_event(5, 'a', 'k');
  rig.bring_event(5, 'n', 'k');
  rig.bring_event(-5, 'b', 'k');
  CHECK(rig.take_lines() == Lines{"unplaced: n", "unplaced: b"});
  CHECK(rig.errors.empty());
  rig.bring_event(5, 't', 'k');
  CHECK(rig.take_lines() == Lines{"unplaced: t"});
  REQUIRE(rig.errors.size() == 1);
  CHECK(rig.errors[0].text == "no time");
  rig.close();
  CHECK(rig.take_lines() == Lines{"close 0-10: a"});
}

TEST_CASE("TumblingWindow: the greatest times of every kind are no times", "[windows]") {
  CHECK_FALSE(detail::to_event_time(std::chrono::hours::max()));
  CHECK_FALSE(detail::to_event_time(std::chrono::nanoseconds::max()));
  CHECK_FALSE(detail::to_event_time(std::chrono::milliseconds::min()));
  CHECK_FALSE(detail::to_event_time(std::chrono::duration<double>(1e300)));
  CHECK_FALSE(detail::to_event_time(std::chrono::duration<double>(std::nan(""))));
  CHECK(detail::to_event_time(std::chrono::milliseconds(1500)) == EventTime(1500ms));
  CHECK(detail::to_event_time(std::chrono::sys_days{std::chrono::year{2024} / 1 / 1}));
}

TEST_CASE("TumblingWindow: a flush takes part of a window, what follows has the same bounds",
          "[windows]") {
  EventRig rig;
  rig.consume(TumblingWindow{10s, second_of, {.out_of_orderness = 20s}});
  rig.bring({1, 12});
  rig.consumer->flush();
  CHECK(rig.take_lines() == Lines{"flush 0-10: a", "flush 10-20: b"});
  rig.bring({2, 30});
  CHECK(rig.take_lines() == Lines{"watermark 0-10: c"});
  rig.close();
}

TEST_CASE("TumblingWindow: what a flush left behind goes before what is newer", "[windows]") {
  // A producer's items of a key stay in order, also where a full stream makes windows leave early.
  EventRig rig;
  rig.consume(TumblingWindow{10s, second_of, {.out_of_orderness = 100s}});
  rig.bring({1});
  rig.consumer->flush();
  rig.bring({25, 2});
  rig.consumer->flush();
  CHECK(rig.take_lines() == Lines{"flush 0-10: a", "flush 0-10: c", "flush 20-30: b"});
  rig.close();
}

TEST_CASE("TumblingWindow: a full stream lets the oldest window go", "[windows]") {
  EventRig rig({.capacity = 4});
  rig.consume(TumblingWindow{10s, second_of, {.out_of_orderness = 1000s}});
  rig.bring({1, 12, 2, 13});
  std::jthread producer([&] { (void)rig.stream.append(Event{14, 'z'}); });
  while (rig.lines.empty()) {
    rig.run();
    std::this_thread::yield();
  }
  producer.join();
  CHECK(rig.take_lines() == Lines{"capacity 0-10: ac"});
  rig.close();
  CHECK(rig.take_lines() == Lines{"close 10-20: bdz"});
}

TEST_CASE("TumblingWindow: items that expire while they wait are counted", "[windows]") {
  EventRig rig({.expire_after = 5s});
  rig.consume(TumblingWindow{10s, second_of});
  rig.bring({1, 12});
  CHECK(rig.take_lines() == Lines{"watermark 0-10: a"});
  rig.pass_until(6s);
  CHECK(rig.stats().dropped(DropCause::expired) == 1);
  rig.bring({35});
  CHECK(rig.take_lines().empty());
  rig.close();
  CHECK(rig.take_lines() == Lines{"close 30-40: c"});
}

TEST_CASE("TumblingWindow: settings that cannot work are refused", "[windows]") {
  CHECK_THROWS_WITH((TumblingWindow{0s, second_of}), ContainsSubstring("TumblingWindow: size"));
  CHECK_THROWS_WITH((TumblingWindow{1s, second_of, {.out_of_orderness = -1s}}),
                    ContainsSubstring("out_of_orderness must be from 0 ns"));
  CHECK_THROWS_WITH((TumblingWindow{1s, second_of, {.allowed_lateness = -1s}}),
                    ContainsSubstring("allowed_lateness"));
  CHECK_THROWS_WITH((TumblingWindow{1s, second_of, {.idle_after = 0s}}),
                    ContainsSubstring("idle_after must be above 0"));
  CHECK_THROWS_WITH((TumblingWindow{1s, second_of, {.max_jump = 0s}}),
                    ContainsSubstring("max_jump must be above 0"));
}

TEST_CASE("HoppingWindow over event time: each item in every window that covers it", "[windows]") {
  EventRig rig;
  rig.consume(HoppingWindow{10s, 5s, second_of});
  rig.bring({1, 6, 12});
  CHECK(rig.take_lines() == Lines{"watermark -5-5: a", "watermark 0-10: ab"});
  rig.bring({30});
  CHECK(rig.take_lines() == Lines{"watermark 5-15: bc", "watermark 10-20: c"});
  CHECK(rig.stats().delivered == 3);
  rig.close();
  CHECK(rig.take_lines() == Lines{"close 25-35: d", "close 30-40: d"});
  CHECK(rig.stats().delivered == 4);
}

TEST_CASE("HoppingWindow over event time: a flush lets the windows under way leave", "[windows]") {
  EventRig rig;
  rig.consume(HoppingWindow{10s, 5s, second_of, {.out_of_orderness = 20s}});
  rig.bring({1, 6});
  rig.consumer->flush();
  CHECK(rig.take_lines() == Lines{"flush -5-5: a", "flush 0-10: ab", "flush 5-15: b"});
  rig.bring({7, 40});  // its windows have left: it leaves by itself, when the last is over
  CHECK(rig.take_lines() == Lines{"watermark 5-15: c"});
  rig.close();
}

TEST_CASE("HoppingWindow over event time: an item may be late for some of its windows only",
          "[windows]") {
  EventRig rig;
  rig.consume(HoppingWindow{10s, 5s, second_of});
  rig.bring({6, 11, 7});  // 7 s meets 11 s: 0-10 is over, 5-15 is not
  CHECK(rig.take_lines() == Lines{"watermark 0-10: a"});
  rig.bring({40});
  CHECK(rig.take_lines() == Lines{"watermark 5-15: acb", "watermark 10-20: b"});
  rig.close();
}

TEST_CASE(
    "HoppingWindow over event time: what comes after a window's end is not in it, though swept",
    "[windows]") {
  EventRig rig;
  rig.consume(HoppingWindow{10s, 5s, second_of});
  for (Event event : {Event{6, 'a'}, Event{11, 'b'}, Event{7, 'c'}, Event{40, 'd'}})
    rig.append(std::move(event));
  rig.run();
  CHECK(rig.take_lines() ==
        Lines{"watermark 0-10: a", "watermark 5-15: acb", "watermark 10-20: b"});
  rig.close();
}

TEST_CASE("HoppingWindow over event time: a size that is no multiple of the hop", "[windows]") {
  EventRig rig;
  rig.consume(HoppingWindow{10s, 4s, second_of});  // -8-2, -4-6, 0-10, 4-14, ...
  rig.bring({1, 5, 9, 100});
  CHECK(rig.take_lines() == Lines{"watermark -8-2: a", "watermark -4-6: ab", "watermark 0-10: abc",
                                  "watermark 4-14: bc", "watermark 8-18: c"});
  rig.close();
}

TEST_CASE("SessionWindow over event time: sessions end with the watermark", "[windows]") {
  EventRig rig;
  rig.consume(SessionWindow{5s, second_of});
  rig.bring({1, 4, 8});
  CHECK(rig.lines.empty());
  rig.bring({20});
  CHECK(rig.take_lines() == Lines{"watermark 1-13: abc"});
  rig.close();
  CHECK(rig.take_lines() == Lines{"close 20-25: d"});
}

TEST_CASE("SessionWindow over event time: an item can join two sessions", "[windows]") {
  EventRig rig;
  rig.consume(SessionWindow{5s, second_of, {.out_of_orderness = 20s}});
  rig.bring({1, 9, 5});
  rig.bring({60});
  CHECK(rig.take_lines() == Lines{"watermark 1-14: abc"});
  rig.close();
}

TEST_CASE("SessionWindow over event time: late items", "[windows]") {
  EventRig rig;
  rig.consume(SessionWindow{5s, second_of, {.allowed_lateness = 10s}});
  rig.bring({10, 30});
  CHECK(rig.take_lines() == Lines{"watermark 10-15: a"});
  rig.bring({16, 12, 27});
  CHECK(rig.take_lines() == Lines{"too_late: d", "late 16-21: c"});
  rig.close();
  CHECK(rig.take_lines() == Lines{"close 27-35: be"});
}
