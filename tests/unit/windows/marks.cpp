#include <algorithm>
#include <functional>

#include "event_rig.hpp"

using namespace microbatch;
using namespace std::chrono_literals;
using test::Event;
using test::EventRig;
using test::Lines;
using test::second_of;

namespace {

/// A source that does what it is told.
struct Scripted {
  using value_type = Event;
  std::function<void(Feed<Event>&)> script;
  void run(Feed<Event>& feed, std::stop_token) { script(feed); }
};

template <class E>
Lines run_script(E emitter, std::function<void(Feed<Event>&)> script) {
  Lines lines;
  Scripted source{std::move(script)};
  const auto result = run(source, std::move(emitter), [&](Window<Event>& window) {
    lines.push_back(EventRig::line_of(window));
  });
  CHECK(result.stats.balances());
  std::sort(lines.begin(), lines.end());  // how many at once are seen is the threads' business
  return lines;
}

void put(Feed<Event>& feed, std::uint32_t partition, Event event, std::int64_t offset = 0) {
  REQUIRE(feed.append(event, {partition, offset}) == AppendResult::accepted);
}

}  // namespace

TEST_CASE("marks: an idle partition holds the others back no more", "[windows]") {
  const auto lines = run_script(TumblingWindow{10s, second_of}, [](Feed<Event>& feed) {
    put(feed, 0, {1, 'a'});
    put(feed, 1, {1, 'b'});
    put(feed, 0, {25, 'c'});
    feed.mark_idle(1);
    put(feed, 1, {2, 'd'}, 1);  // behind the mark: 0-10 is over
  });
  CHECK(lines == Lines{"close 20-30: c", "too_late: d", "watermark 0-10: ab"});
}

TEST_CASE("marks: an awaited partition's first items are in time, also behind newer ones of others",
          "[windows]") {
  const auto lines = run_script(TumblingWindow{10s, second_of}, [](Feed<Event>& feed) {
    for (const std::uint32_t partition : {0u, 1u, 2u}) feed.mark_awaited(partition);
    put(feed, 0, {1, 'a'});
    put(feed, 0, {25, 'b'}, 1);  // decides nothing: 1 and 2 may still bring older ones
    put(feed, 1, {2, 'c'});
    put(feed, 1, {31, 'd'}, 1);
    feed.mark_idle(2);          // it has nothing after all
    put(feed, 1, {3, 'e'}, 2);  // 0-10 and 10-20 are over
  });
  CHECK(lines == Lines{"close 20-30: b", "close 30-40: d", "too_late: e", "watermark 0-10: ac"});
}

TEST_CASE("marks: an awaited partition is not idle before its source says so", "[windows]") {
  EventRig rig;
  rig.consume(TumblingWindow{10s, second_of, {.idle_after = 2s}});
  Feed<Event> feed(rig.stream, std::make_shared<detail::CommitTracker>());
  feed.mark_awaited(0);
  feed.mark_awaited(1);
  put(feed, 0, {1, 'a'});
  put(feed, 0, {25, 'b'}, 1);
  rig.run();
  rig.pass_until(100s);
  CHECK(rig.lines.empty());
  feed.mark_idle(1);
  rig.run();
  rig.pass_until(101s);
  CHECK(rig.take_lines() == Lines{"watermark 0-10: a", "watermark 20-30: b"});
  rig.close();
}

TEST_CASE("marks: a partition that has ended holds the others back no more", "[windows]") {
  const auto lines = run_script(TumblingWindow{10s, second_of}, [](Feed<Event>& feed) {
    put(feed, 0, {1, 'a'});
    put(feed, 1, {1, 'b'});
    put(feed, 0, {25, 'c'});
    feed.end_partition(1);
    put(feed, 2, {2, 'd'});  // behind the mark: 0-10 is over
  });
  CHECK(lines == Lines{"close 20-30: c", "too_late: d", "watermark 0-10: ab"});
}

TEST_CASE("Watermark: what has ended is not kept, and goes on with the clock all the same",
          "[windows]") {
  Watermark watermark({.out_of_orderness = 1s, .idle_after = 2s});
  const TimePoint begin{1h};
  const EventTime first{100s};
  for (std::uint32_t id = 0; id < 1000; ++id) {
    watermark.mark_awaited(id);
    CHECK(watermark.observe(id, first + std::chrono::seconds(id), begin));
    watermark.mark_ended(id);
  }
  CHECK(watermark.partitions() == 0);
  CHECK(watermark.now() == first + 998s);
  watermark.pass(begin + 10s);  // as where all are idle
  CHECK(watermark.now() == first + 1008s);
  CHECK(watermark.next_pass(first + 1010s) == begin + 12s);
  watermark.mark_ended(7);  // again
  CHECK(watermark.now() == first + 1008s);
}

TEST_CASE("marks: time has passed, without an item", "[windows]") {
  const auto script = [](Feed<Event>& feed) {
    put(feed, 0, {1, 'a'});
    feed.mark_time(EventTime(10s));
    put(feed, 0, {2, 'b'}, 1);
    feed.mark_time(EventTime(-10s));  // says nothing
  };
  CHECK(run_script(TumblingWindow{10s, second_of}, script) ==
        Lines{"too_late: b", "watermark 0-10: a"});
  CHECK(run_script(SessionWindow{5s, second_of}, script) ==
        Lines{"too_late: b", "watermark 1-6: a"});
}

TEST_CASE("marks: cannot overtake the items before them, however these are swept", "[windows]") {
  // A late consumer sees all of it at once.
  EventRig rig;
  rig.consume(TumblingWindow{10s, second_of});
  auto tracker = std::make_shared<detail::CommitTracker>();
  Feed<Event> feed(rig.stream, tracker);
  (void)feed.append(Event{1, 'a'});
  (void)feed.append(Event{2, 'b'});
  feed.mark_time(EventTime(10s));
  (void)feed.append(Event{3, 'c'});
  feed.mark_time(EventTime(20s));
  rig.run();
  CHECK(rig.take_lines() == Lines{"too_late: c", "watermark 0-10: ab"});
  feed.mark_time(EventTime(40s));
  rig.run();
  CHECK(rig.lines.empty());
  (void)feed.append(Event{39, 'd'});
  (void)feed.append(Event{41, 'e'});
  feed.mark_time(EventTime(50s));
  rig.run();  // a mark alone wakes the engine
  CHECK(rig.take_lines() == Lines{"too_late: d", "watermark 40-50: e"});
  rig.close();
}

TEST_CASE("marks: who does not take them does not collect them", "[windows]") {
  EventRig rig;
  rig.consume(CountWindow{2});
  auto tracker = std::make_shared<detail::CommitTracker>();
  Feed<Event> feed(rig.stream, tracker);
  for (int i = 0; i < 100; ++i) {
    (void)feed.append(Event{i, 'a'});
    feed.mark_time(EventTime(std::chrono::seconds(i)));
  }
  rig.run();
  CHECK(rig.windows.size() == 50);
  CHECK(detail::CoreOf<Event>::get(rig.stream)->backlog.marks.empty());
  rig.close();
}
