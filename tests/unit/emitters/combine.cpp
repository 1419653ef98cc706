#include <algorithm>
#include <thread>

#include "support/rig.hpp"

using namespace microbatch;
using namespace std::chrono_literals;
using test::Names;
using test::Rig;
using test::Times;
using test::Windows;

namespace {

int weight_of(const std::vector<int>& items) {
  int sum = 0;
  for (const int item : items) sum += item;
  return sum;
}

/// 3 items, weight 10, whatever the path.
void check_limits(const Rig<>& rig) {
  for (const auto& call : rig.calls) {
    CHECK(call.items.size() <= 3);
    CHECK((weight_of(call.items) <= 10 || call.items.size() == 1));
  }
}

StreamOptions<int> weighing() {
  return {.weight = [](int weight) { return weight; }};
}

}  // namespace

TEST_CASE("any_of: the reason is that of the part that was ready", "[emitter]") {
  Rig rig(weighing());
  rig.consume(any_of(CountWindow{3}, WeightWindow{10}, MaxAgeWindow{1s}));
  rig.append(1, 1, 1);
  rig.run();
  rig.append(9, 9);
  rig.run();
  rig.pass_until(2s);
  CHECK(rig.items() == Windows<>{{1, 1, 1}, {9}, {9}});
  CHECK(rig.reasons() == Names{"count", "weight", "age"});
  rig.close();
}

TEST_CASE("any_of: the earliest timer of its parts counts", "[emitter]") {
  testing::ManualClock clock;
  Stream<int> stream({.clock = clock});
  Engine<int> engine(stream, any_of(MaxAgeWindow{3s}, MaxAgeWindow{2s}, CountWindow{100}),
                     [](Window<int>&) {});
  CHECK(engine.step(clock.now()) == never);
  REQUIRE(stream.append(1) == AppendResult::accepted);
  CHECK(engine.step(clock.now()) == clock.now() + 2s);
}

TEST_CASE("any_of: limits hold when the consumer is late", "[emitter]") {
  Rig rig(weighing());
  rig.consume(any_of(MaxAgeWindow{1s}, CountWindow{3}, WeightWindow{10}));
  rig.append(2, 2, 2, 2, 5, 5, 11, 1, 1);
  rig.leap_to(1min);
  rig.run();
  CHECK(rig.items() == Windows<>{{2, 2, 2}, {2, 5}, {5}, {11}, {1, 1}});
  check_limits(rig);
  rig.close();
}

TEST_CASE("any_of: limits hold on flush and close", "[emitter]") {
  // Parts that are never ready by themselves, but limit: only a partial window makes them leave.
  struct AtMostThree {
    Readiness window_ready(Pending<int>&, TimePoint) { return {.limit = 3}; }
  };
  Rig rig(weighing());
  rig.consume(any_of(AtMostThree{}, MaxAgeWindow{1h}));
  rig.append(1, 2, 3, 4, 5, 6, 7);
  rig.run();
  CHECK(rig.windows.empty());
  SECTION("flush") {
    rig.consumer->flush();
    CHECK(rig.reasons() == Names(3, "flush"));
  }
  SECTION("close") {
    rig.close();
    CHECK(rig.reasons() == Names(3, "close"));
  }
  CHECK(rig.items() == Windows<>{{1, 2, 3}, {4, 5, 6}, {7}});
}

TEST_CASE("any_of: limits hold for a part that has a flush of its own", "[emitter]") {
  struct WantsAll {
    Readiness window_ready(Pending<int>& pending, TimePoint) {
      return {.at_items = pending.size() + 1};
    }
    Readiness flush(Pending<int>& pending, TimePoint) { return {.ready = !pending.empty()}; }
  };
  struct AtMostThree {
    Readiness window_ready(Pending<int>&, TimePoint) { return {.limit = 3}; }
  };
  Rig rig;
  SECTION("first") { rig.consume(any_of(WantsAll{}, AtMostThree{})); }
  SECTION("last") { rig.consume(all_of(AtMostThree{}, WantsAll{})); }
  rig.append(1, 2, 3, 4, 5);
  rig.consumer->flush();
  CHECK(rig.items() == Windows<>{{1, 2, 3}, {4, 5}});
  rig.close();
}

TEST_CASE("any_of: limits hold for the retries of a window", "[emitter]") {
  Rig rig(weighing());
  int failures = 3;
  rig.consume(any_of(CountWindow{3}, WeightWindow{10}), [&](Window<int>&) {
    if (failures-- > 0) throw TransientError("down");
  });
  rig.append(2, 2, 2, 9, 5, 5, 20);
  rig.pass_until(10s);
  check_limits(rig);
  CHECK(rig.items() == Windows<>{{2, 2, 2}, {9}, {5, 5}, {20}});
  CHECK(rig.windows[0].attempt == 4);
  rig.close();
}

TEST_CASE("any_of: a part that waits for more items than the limit lets in does not spin",
          "[emitter]") {
  Rig rig(weighing());
  const RelaxedTimeWindow three_per_tick{1s, {.max_items = 3}};
  SECTION("weight") { rig.consume(any_of(WeightWindow{1000}, three_per_tick)); }
  SECTION("predicate") {
    rig.consume(any_of(PredicateWindow{[](int item) { return item == 100; }}, three_per_tick));
  }
  rig.append(1, 2, 3, 4, 5);
  rig.run();
  CHECK(rig.windows.empty());
  rig.pass_until(2s);
  CHECK(rig.items() == Windows<>{{1, 2, 3}, {4, 5}});
  CHECK(rig.times() == Times{1s, 2s});
  rig.close();
}

TEST_CASE("any_of: limits hold on a full stream", "[emitter]") {
  struct AtMostThree {
    Readiness window_ready(Pending<int>& pending, TimePoint) {
      return {.limit = 3, .at_items = pending.size() + 1};
    }
  };
  Rig rig({.capacity = 8});
  rig.consume(any_of(AtMostThree{}, MaxAgeWindow{1h}));
  rig.append_numbers(0, 8);
  rig.run();
  CHECK(rig.windows.empty());
  std::jthread producer([&] { (void)rig.stream.append(8); });
  while (rig.windows.empty()) {
    rig.run();
    std::this_thread::yield();
  }
  producer.join();
  CHECK(rig.windows[0].items == std::vector{0, 1, 2});
  CHECK(rig.windows[0].reason == Reason::capacity);
  rig.close();
}

TEST_CASE("any_of: every part hears of every window", "[emitter]") {
  struct Listener {
    int* emitted;
    int* ended;
    Readiness window_ready(Pending<int>&, TimePoint) { return {}; }
    void on_emit(Draft<int>&, const Readiness&) { ++*emitted; }
    void on_commit(Window<int>&) { ++*ended; }
    void on_undo(Window<int>&) { *ended += 100; }
  };
  int emitted = 0;
  int ended = 0;
  Rig rig;
  rig.consume(any_of(Listener{&emitted, &ended}, CountWindow{1}, Listener{&emitted, &ended}));
  rig.append(1, 2);
  rig.run();
  CHECK(emitted == 4);
  CHECK(ended == 4);
  rig.close();
}

TEST_CASE("any_of: one part that chooses items does so for all", "[emitter]") {
  struct Backwards {
    Readiness window_ready(Pending<int>&, TimePoint) { return {}; }
    void query(Pending<int>& pending, Draft<int>& draft, const Readiness& readiness) {
      for (std::size_t i = std::min(readiness.limit, pending.size()); i-- > 0;) draft.take(i);
    }
  };
  Rig rig;
  rig.consume(any_of(CountWindow{3}, Backwards{}));
  rig.append(1, 2, 3);
  rig.run();
  CHECK(rig.items() == Windows<>{{3, 2, 1}});
  rig.close();
}

TEST_CASE("any_of: limits can be changed while it runs", "[emitter]") {
  Rig rig;
  CountWindow size{10};
  MaxAgeWindow age{1h};
  rig.consume(any_of(size, age));
  rig.append(1, 2, 3);
  rig.run();
  size.set_size(2);
  rig.run();
  CHECK(rig.items() == Windows<>{{1, 2}});
  age.set_age(1s);
  rig.run();
  CHECK(rig.windows.size() == 1);
  rig.at(1s);
  CHECK(rig.items() == Windows<>{{1, 2}, {3}});
  rig.close();
}

TEST_CASE("any_of: nested, the smallest limit holds", "[emitter]") {
  Rig rig;
  rig.consume(any_of(any_of(CountWindow{5}, MaxAgeWindow{1s}),
                     any_of(CountWindow{2}, RelaxedTimeWindow{1h})));
  rig.append(1, 2, 3);
  rig.at(1s);
  CHECK(rig.items() == Windows<>{{1, 2}, {3}});
  rig.close();
}

TEST_CASE("any_of: a fixed grid beside a count parts the cells all the same", "[emitter]") {
  Rig rig;
  rig.consume(any_of(FixedTimeWindow{1s}, CountWindow{3}));
  rig.append(1, 2, 3, 4);
  rig.at(500ms);
  CHECK(rig.items() == Windows<>{{1, 2, 3}});
  rig.leap_to(1s);
  rig.append(5);
  rig.run();
  rig.at(2s);
  CHECK(rig.items() == Windows<>{{1, 2, 3}, {4}, {5}});
  CHECK(rig.bounds() == Times{0s, 1s, 0s, 1s, 1s, 2s});
  CHECK(rig.reasons() == Names{"count", "interval", "interval"});
  rig.close();
}

TEST_CASE("all_of: ten items, but not before the first is 1 s old", "[emitter]") {
  Rig rig;
  rig.consume(all_of(CountWindow{10}, MaxAgeWindow{1s}));
  rig.append_numbers(0, 12);
  rig.pass_until(990ms);
  CHECK(rig.windows.empty());
  rig.pass_until(1s);
  REQUIRE(rig.windows.size() == 1);
  CHECK(rig.windows[0].items.size() == 10);
  rig.pass_until(5s);
  CHECK(rig.windows.size() == 1);  // 1 s old, but only two
  rig.append_numbers(12, 8);
  rig.run();
  CHECK(rig.windows.size() == 2);
  rig.close();
}

TEST_CASE("all_of: a part whose limit keeps another from being ready does not wait for ever",
          "[emitter]") {
  Rig rig(weighing());
  rig.consume(all_of(CountWindow{5}, WeightWindow{10}));
  rig.append(1, 1, 1, 1);
  rig.run();
  CHECK(rig.windows.empty());
  rig.append(1);  // five of them, but not heavy; a sixth may not join
  rig.run();
  CHECK(rig.items() == Windows<>{{1, 1, 1, 1, 1}});
  rig.append(6, 6);  // heavy, but two
  rig.run();
  CHECK(rig.items() == Windows<>{{1, 1, 1, 1, 1}, {6}});
  rig.close();
}

TEST_CASE("all_of: two time parts wait for the later one", "[emitter]") {
  Rig rig;
  rig.consume(all_of(MaxAgeWindow{1s}, PeriodWindow{3s}));
  rig.append(1);
  rig.pass_until(5s);
  CHECK(rig.times() == Times{3s});
  rig.append(2);
  rig.pass_until(10s);
  CHECK(rig.times() == Times{3s, 6s});
  rig.close();
}

TEST_CASE("all_of: flush and close take what is there", "[emitter]") {
  Rig rig;
  rig.consume(all_of(CountWindow{2}, MaxAgeWindow{1h}));
  rig.append(1);
  rig.consumer->flush();
  CHECK(rig.items() == Windows<>{{1}});
  rig.append(2);
  rig.close();
  CHECK(rig.items() == Windows<>{{1}, {2}});
}
