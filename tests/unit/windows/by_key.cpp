#include <algorithm>
#include <map>
#include <set>
#include <stdexcept>
#include <string_view>

#include "event_rig.hpp"

using namespace microbatch;
using namespace std::chrono_literals;
using test::Event;
using test::EventRig;
using test::key_of;
using test::Lines;
using test::Rig;
using test::second_of;

TEST_CASE("by_key: windows of n items of one key", "[windows]") {
  EventRig rig;
  rig.consume(by_key(key_of, CountWindow{2}));
  rig.bring({1, 1}, 'x');
  CHECK(rig.take_lines() == Lines{"count x: ab"});
  rig.bring({1}, 'x');
  rig.bring({1}, 'y');
  rig.bring({1}, 'z');
  CHECK(rig.lines.empty());
  rig.bring({1, 1, 1}, 'y');
  CHECK(rig.take_lines() == Lines{"count y: df", "count y: gh"});
  CHECK(rig.stats().pending == 2);
  rig.close();
  auto lines = rig.take_lines();
  std::sort(lines.begin(), lines.end());
  CHECK(lines == Lines{"close x: c", "close z: e"});
}

TEST_CASE("by_key: each key has a timer of its own", "[windows]") {
  EventRig rig;
  rig.consume(by_key(key_of, any_of(CountWindow{3}, MaxAgeWindow{2s})));
  rig.bring({1}, 'x');
  rig.pass_until(1s);
  rig.bring({1, 1}, 'y');
  rig.pass_until(1990ms);
  CHECK(rig.lines.empty());
  rig.pass_until(2s);
  CHECK(rig.take_lines() == Lines{"age x: a"});
  rig.bring({1}, 'y');
  CHECK(rig.take_lines() == Lines{"count y: bcd"});
  rig.pass_until(10s);
  CHECK(rig.lines.empty());
  rig.close();
}

TEST_CASE("by_key: sessions of each key", "[windows]") {
  EventRig rig;
  rig.consume(by_key(key_of, SessionWindow{2s}));
  rig.bring({1}, 'x');
  rig.pass_until(1s);
  rig.bring({1}, 'y');
  rig.pass_until(1500ms);
  rig.bring({1}, 'x');
  rig.pass_until(3s);
  CHECK(rig.take_lines() == Lines{"gap y: b"});
  rig.pass_until(3500ms);
  CHECK(rig.take_lines() == Lines{"gap x: ac"});
  rig.close();
}

TEST_CASE("by_key: the other emitters, each by key", "[windows]") {
  EventRig rig;
  SECTION("predicate") {
    rig.consume(by_key(key_of, PredicateWindow{[](const Event& e) { return e.second == 9; }}));
    rig.bring({1, 2}, 'x');
    rig.bring({3}, 'y');
    rig.bring({9, 1}, 'x');
    CHECK(rig.take_lines() == Lines{"predicate x: abd"});
  }
  SECTION("weight") {
    rig.consume(by_key(key_of, WeightWindow{10, [](const Event& e) { return e.second; }}));
    rig.bring({4, 4}, 'x');
    rig.bring({4}, 'y');
    rig.bring({4}, 'x');
    CHECK(rig.take_lines() == Lines{"weight x: ab"});
  }
  SECTION("sliding count") {
    rig.consume(by_key(key_of, SlidingCountWindow{3, 1}));
    rig.bring({1, 1}, 'x');
    rig.bring({1, 1}, 'y');
    rig.bring({1, 1}, 'x');
    CHECK(rig.take_lines() == Lines{"count x: abe", "count x: bef"});
  }
  SECTION("tiers") {
    rig.consume(by_key(key_of, TieredWindow{{2, 1s}, {1, 3s}}));
    rig.bring({1, 1}, 'x');
    rig.bring({1}, 'y');
    rig.pass_until(5s);
    CHECK(rig.take_lines() == Lines{"age x: ab", "age y: c"});
  }
  rig.close();
}

namespace {

/// Tasks that wait until somebody runs them, in any order.
struct TaskList {
  void execute(Task task) { tasks.push_back(std::move(task)); }
  [[nodiscard]] std::size_t workers() const { return 8; }
  void run_last() {
    Task task = std::move(tasks.back());
    tasks.pop_back();
    task();
  }
  std::vector<Task> tasks;
};

/// Runs all windows, as many in flight as there may be, the last one first. What each key saw.
template <class E>
std::map<char, std::string> run_in_disorder(E emitter, std::initializer_list<Event> events,
                                            std::size_t expected_in_flight) {
  std::map<char, std::string> seen;
  testing::ManualClock clock;
  TaskList tasks;
  Stream<Event> stream({.clock = clock});
  Engine<Event> engine(stream, std::move(emitter),
                       [&](Window<Event>& window) {
                         for (const Event& event : window) seen[window.key<char>()] += event.name;
                       },
                       {.executor = tasks, .order = Order::unordered});
  for (const Event event : events) REQUIRE(stream.append(event) == AppendResult::accepted);
  std::size_t most = 0;
  do {
    engine.step(clock.now());
    most = std::max(most, tasks.tasks.size());
    if (!tasks.tasks.empty()) tasks.run_last();
    engine.step(clock.now());
  } while (!tasks.tasks.empty());
  CHECK(most == expected_in_flight);
  (void)engine.stop();
  CHECK(engine.stats().balances());
  return seen;
}

using Seen = std::map<char, std::string>;

}  // namespace

TEST_CASE("by_key: never two windows of a key in flight, and its windows in order", "[windows]") {
  CHECK(run_in_disorder(by_key(key_of, CountWindow{1}),
                        {{0, 'a', 'x'}, {0, 'b', 'x'}, {0, 'c', 'y'}, {0, 'd', 'x'}},
                        2) == Seen{{'x', "abd"}, {'y', "c"}});
}

TEST_CASE("by_key over event time: never two windows of a key in flight", "[windows]") {
  CHECK(run_in_disorder(
            by_key(key_of, TumblingWindow{10s, second_of}),
            {{1, 'a', 'x'}, {2, 'b', 'y'}, {11, 'c', 'x'}, {21, 'd', 'x'}, {31, 'e', 'z'}},
            2) == Seen{{'x', "acd"}, {'y', "b"}});
  CHECK(run_in_disorder(by_key(key_of, SessionWindow{2s, second_of}),
                        {{1, 'a', 'x'}, {2, 'b', 'y'}, {11, 'c', 'x'}, {31, 'e', 'z'}},
                        2) == Seen{{'x', "ac"}, {'y', "b"}});
}

TEST_CASE("by_key: a failing key holds back itself and nobody else", "[windows]") {
  Rig<Event> rig({}, 4);
  std::map<char, std::string> seen;
  int failures = 3;
  rig.consume(by_key(key_of, CountWindow{1}),
              [&](Window<Event>& window) {
                if (window.key<char>() == 'x' && failures-- > 0) throw TransientError("not now");
                for (const Event& event : window) seen[event.key] += event.name;
              },
              {.order = Order::unordered});
  rig.append(Event{0, 'a', 'x'}, Event{0, 'b', 'x'}, Event{0, 'c', 'y'}, Event{0, 'd', 'y'});
  rig.run();
  CHECK(seen == std::map<char, std::string>{{'y', "cd"}});
  rig.pass_until(10s);
  CHECK(seen == std::map<char, std::string>{{'x', "ab"}, {'y', "cd"}});
  rig.close();
}

TEST_CASE("by_key: a flush waits for what a key in flight holds back", "[windows]") {
  EventRig rig({}, 4);
  rig.consume(by_key(key_of, CountWindow{2}), {.order = Order::unordered});
  rig.append(Event{0, 'a', 'x'}, Event{0, 'b', 'x'}, Event{0, 'c', 'x'});
  rig.consumer->flush();
  CHECK(rig.take_lines() == Lines{"count x: ab", "flush x: c"});
  rig.close();
}

TEST_CASE("by_key: an item whose key function throws goes to the side output", "[windows]") {
  EventRig rig;
  const auto key = [](const Event& event) {
    if (event.key == '!') throw std::runtime_error("no key");
    return event.key;
  };
  SECTION("windows by count") { rig.consume(by_key(key, CountWindow{2})); }
  SECTION("windows by event time") { rig.consume(by_key(key, TumblingWindow{10s, second_of})); }
  SECTION("sessions by event time") { rig.consume(by_key(key, SessionWindow{10s, second_of})); }
  rig.bring({1}, 'x');
  rig.bring({1}, '!');
  CHECK(rig.take_lines() == Lines{"unplaced: b"});
  REQUIRE(rig.errors.size() == 1);
  CHECK(rig.errors[0].text == "no key");
  rig.close();
  CHECK(rig.stats().delivered == 2);
}

namespace {

struct Fussy {
  int value = 0;
  friend bool operator==(const Fussy&, const Fussy&) = default;
};

}  // namespace

template <>
struct std::hash<Fussy> {
  std::size_t operator()(const Fussy& key) const {
    if (key.value < 0) throw std::runtime_error("no hash");
    return static_cast<std::size_t>(key.value);
  }
};

TEST_CASE("by_key: an item whose key throws while it is hashed goes to the side output",
          "[windows]") {
  Rig<int> rig;
  rig.consume(by_key([](int item) { return Fussy{item}; }, CountWindow{2}));
  rig.append(1, -1, 1, 2);
  rig.run();
  CHECK(rig.items() == test::Windows<>{{-1}, {1, 1}});
  CHECK(rig.errors.size() == 1);
  rig.close();
}

TEST_CASE("by_key: views of text are kept as text", "[windows]") {
  Rig<std::string> rig;
  std::set<std::string> keys;
  rig.consume(by_key([](const std::string& line) { return std::string_view(line).substr(0, 1); },
                     CountWindow{2}),
              [&](Window<std::string>& window) { keys.insert(window.key<std::string>()); });
  rig.append(std::string("apple"), std::string("bee"), std::string("ape"), std::string("bat"));
  rig.run();
  CHECK(keys == std::set<std::string>{"a", "b"});
  rig.close();
}

TEST_CASE("by_key: asking a window for a key of another type is an error", "[windows]") {
  std::string text;
  Rig<int> rig;
  rig.consume(by_key([](int item) { return item; }, CountWindow{1}), [&](Window<int>& window) {
    CHECK(window.has_key());
    CHECK(window.key<int>() == 7);
    CHECK_THROWS_AS(window.key<long>(), UsageError);
  });
  rig.append(7);
  rig.close();
}

TEST_CASE("by_key: limits can be changed while it runs", "[windows]") {
  EventRig rig;
  CountWindow size{10};
  rig.consume(by_key(key_of, size));
  rig.bring({1, 1}, 'x');
  size.set_size(2);
  rig.bring({1}, 'x');
  CHECK(rig.take_lines() == Lines{"count x: ab"});
  rig.close();
}

TEST_CASE("by_key: a full stream lets a key's items go", "[windows]") {
  EventRig rig({.capacity = 8});
  rig.consume(by_key(key_of, CountWindow{10}));
  for (char key = 'a'; key <= 'h'; ++key) rig.bring({1}, key);
  std::jthread producer([&] { (void)rig.stream.append(Event{1, 'z', 'a'}); });
  while (rig.lines.empty()) {
    rig.run();
    std::this_thread::yield();
  }
  producer.join();
  CHECK(rig.lines[0].starts_with("capacity "));
  rig.close();
  CHECK(rig.stats().delivered == 9);
}

TEST_CASE("by_key: what is pending by key expires, oldest first", "[windows]") {
  EventRig rig({.expire_after = 2s});
  rig.consume(by_key(key_of, CountWindow{3}));
  rig.bring({1}, 'y');
  rig.pass_until(1s);
  rig.bring({1}, 'x');
  rig.pass_until(2s);
  CHECK(rig.stats().dropped(DropCause::expired) == 1);
  rig.bring({1, 1}, 'y');
  rig.bring({1}, 'y');
  CHECK(rig.take_lines() == Lines{"count y: cde"});
  rig.pass_until(3s);
  CHECK(rig.stats().dropped(DropCause::expired) == 2);
  rig.close();
}

TEST_CASE("by_key: stop hands back the items of all keys", "[windows]") {
  EventRig rig;
  rig.consume(by_key(key_of, CountWindow{3}));
  for (char key = 'a'; key <= 'e'; ++key) rig.bring({1, 1}, key);
  CHECK(rig.stop().handed_back.size() == 10);
}

TEST_CASE("by_key: idle keys are forgotten, and come back", "[windows]") {
  Rig<int> rig;
  rig.consume(by_key([](int item) { return item; }, CountWindow{1}));
  for (int round = 0; round < 3; ++round) {
    rig.append_numbers(0, 5000);
    rig.run();
  }
  CHECK(rig.stats().delivered == 15000);
  rig.close();
}

TEST_CASE("by_key: a million keys", "[windows][.long]") {
  constexpr int keys = 1'000'000;
  Rig<int> rig({.capacity = std::size_t{1} << 21});
  std::vector<int> sums(keys);
  ConsumerOptions<int> options{.executor = rig.executor};
  auto consumer = streaming(
      rig.stream, by_key([](int i) { return i % keys; }, CountWindow{2}),
      [&](Window<int>& window) {
        for (const int i : window)
          sums[static_cast<std::size_t>(window.key<int>())] += i / keys + 1;
      },
      std::move(options));
  for (int i = 0; i < 2 * keys; ++i)
    if (rig.stream.append(i) != AppendResult::accepted) FAIL("the stream is full");
  consumer.close();
  CHECK(std::count(sums.begin(), sums.end(), 3) == keys);
  CHECK(consumer.stats().windows == keys);
}

TEST_CASE("by_key over event time: each key's windows, with one watermark", "[windows]") {
  EventRig rig;
  rig.consume(by_key(key_of, TumblingWindow{10s, second_of}));
  rig.bring({1, 5}, 'x');
  rig.bring({2}, 'y');
  rig.bring({11}, 'z');
  CHECK(rig.take_lines() == Lines{"watermark 0-10 x: ab", "watermark 0-10 y: c"});
  rig.bring({3}, 'y');
  CHECK(rig.take_lines() == Lines{"too_late: e"});
  rig.close();
  CHECK(rig.take_lines() == Lines{"close 10-20 z: d"});
}

TEST_CASE("by_key over event time: late windows have their key", "[windows]") {
  EventRig rig;
  rig.consume(by_key(key_of, TumblingWindow{10s, second_of, {.allowed_lateness = 10s}}));
  rig.bring({1}, 'x');
  rig.bring({11}, 'x');
  rig.bring({3}, 'y');
  CHECK(rig.take_lines() == Lines{"watermark 0-10 x: a", "late 0-10 y: c"});
  rig.close();
}

TEST_CASE("by_key over event time: hopping", "[windows]") {
  EventRig rig;
  rig.consume(by_key(key_of, HoppingWindow{10s, 5s, second_of}));
  rig.bring({1, 6}, 'x');
  rig.bring({7}, 'y');
  rig.bring({30}, 'z');
  CHECK(rig.take_lines() == Lines{"watermark -5-5 x: a", "watermark 0-10 x: ab",
                                  "watermark 0-10 y: c", "watermark 5-15 x: b",
                                  "watermark 5-15 y: c"});
  CHECK(rig.stats().delivered == 3);
  rig.close();
}

TEST_CASE("by_key over event time: sessions", "[windows]") {
  EventRig rig;
  rig.consume(by_key(key_of, SessionWindow{5s, second_of, {.out_of_orderness = 2s}}));
  rig.bring({1, 4}, 'x');
  rig.bring({3}, 'y');
  rig.bring({8}, 'x');
  rig.bring({10}, 'y');
  CHECK(rig.take_lines() == Lines{"watermark 3-8 y: c"});
  rig.bring({15}, 'z');
  CHECK(rig.take_lines() == Lines{"watermark 1-13 x: abd"});
  rig.close();
}
