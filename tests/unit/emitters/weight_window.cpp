#include <limits>
#include <stdexcept>

#include "support/pending_items.hpp"
#include "support/rig.hpp"

using namespace microbatch;
using namespace std::chrono_literals;
using test::Names;
using test::Rig;
using test::Times;
using test::Windows;

namespace {

StreamOptions<int> weighing() {
  return {.weight = [](int weight) { return weight; }};
}

int itself(int weight) { return weight; }

bool all_from_the_emitter(const std::vector<BackgroundError>& errors) {
  for (const auto& error : errors)
    if (error.where != BackgroundError::Where::emitter) return false;
  return !errors.empty();
}

}  // namespace

TEST_CASE("WeightWindow: as much as fits, by the stream's stored weights", "[emitter]") {
  Rig rig(weighing());
  rig.consume(WeightWindow{10});
  rig.append(4, 4);
  rig.run();
  CHECK(rig.windows.empty());
  rig.append(4, 9, 12, 1);
  rig.run();
  CHECK(rig.items() == Windows<>{{4, 4}, {4}, {9}, {12}});
  CHECK(rig.reasons() == Names(4, "weight"));
  rig.close();
  CHECK(rig.windows.back().items == std::vector{1});
}

TEST_CASE("WeightWindow: its own function needs no weights in the stream", "[emitter]") {
  Rig<std::string> rig;
  rig.consume(WeightWindow{6, [](const std::string& text) { return text.size(); }});
  rig.append("aaa", "bbb", "c");
  rig.run();
  CHECK(rig.items() == Windows<std::string>{{"aaa", "bbb"}});
  rig.close();
}

TEST_CASE("WeightWindow: its own function goes before the stream's weights", "[emitter]") {
  Rig rig({.weight = [](int) { return 1; }});
  rig.consume(WeightWindow{10, itself});
  rig.append(6, 6);
  rig.run();
  CHECK(rig.items() == Windows<>{{6}});
  rig.close();
}

TEST_CASE("WeightWindow: a limit that is met exactly is a window at once", "[emitter]") {
  Rig rig(weighing());
  rig.consume(WeightWindow{10});
  rig.append(3, 7);
  rig.run();
  CHECK(rig.items() == Windows<>{{3, 7}});
  rig.close();
}

TEST_CASE("WeightWindow: an item heavier than the limit goes alone, wherever it stands",
          "[emitter]") {
  Rig rig(weighing());
  rig.consume(WeightWindow{10});
  SECTION("first") {
    rig.append(11, 1, 10);
    rig.run();
    CHECK(rig.items() == Windows<>{{11}, {1}, {10}});
  }
  SECTION("in the middle") {
    rig.append(1, 50, 50, 1);
    rig.run();
    CHECK(rig.items() == Windows<>{{1}, {50}, {50}});
    rig.consumer->flush();
    CHECK(rig.items() == Windows<>{{1}, {50}, {50}, {1}});
  }
  rig.close();
}

TEST_CASE("WeightWindow: each item is weighed once", "[emitter]") {
  Rig rig;
  int asked = 0;
  rig.consume(any_of(CountWindow{5}, WeightWindow{100, [&](int weight) {
                                                    ++asked;
                                                    return weight;
                                                  }}));
  for (int i = 0; i < 1000; ++i) {
    rig.append(i % 30);
    if (i % 7 == 0) rig.run();
  }
  rig.run();
  CHECK(asked == 1000);
  for (const auto& window : rig.windows) {
    int weight = 0;
    for (const int item : window.items) weight += item;
    CHECK(weight <= 100);
    CHECK(window.items.size() <= 5);
  }
  rig.close();
}

TEST_CASE("WeightWindow: items of no weight stay pending until something weighs", "[emitter]") {
  Rig rig(weighing());
  rig.consume(WeightWindow{10});
  rig.append(0, 0, 0, 0);
  rig.run();
  CHECK(rig.windows.empty());
  rig.append(10);
  rig.run();
  CHECK(rig.items() == Windows<>{{0, 0, 0, 0, 10}});
  rig.close();
}

TEST_CASE("WeightWindow: weights near the end of their type do not wrap around", "[emitter]") {
  constexpr auto huge = std::uint64_t{1} << 63;
  test::PendingItems<int> pending;
  for (int i = 0; i < 3; ++i) pending.add_weighing(i, huge);
  pending.add_weighing(3, 1);
  WeightWindow emitter{10};
  for (int i = 0; i < 3; ++i) {
    const Readiness verdict = emitter.window_ready(*pending, TimePoint{});
    REQUIRE(verdict.ready);
    CHECK(pending.leave(verdict.limit) == std::vector{i});
  }
  CHECK_FALSE(emitter.window_ready(*pending, TimePoint{}).ready);
}

TEST_CASE("WeightWindow: an item whose weight cannot be had goes alone, and at once", "[emitter]") {
  Rig rig;
  const auto negative = [](int weight) { return weight; };
  const auto throwing = [](int weight) {
    if (weight < 0) throw std::runtime_error("no weight");
    return weight;
  };
  SECTION("negative") { rig.consume(WeightWindow{10, negative}); }
  SECTION("thrown") { rig.consume(WeightWindow{10, throwing}); }
  rig.append(1, 2, -1, 3);
  rig.run();
  CHECK(rig.items() == Windows<>{{1, 2}, {-1}});
  CHECK(rig.errors.size() == 1);
  CHECK(all_from_the_emitter(rig.errors));
  rig.append(7);
  rig.run();
  CHECK(rig.items() == Windows<>{{1, 2}, {-1}, {3, 7}});
  rig.close();
}

TEST_CASE("WeightWindow: an item without a weight does not hold back an age limit beside it",
          "[emitter]") {
  Rig rig;
  rig.consume(any_of(WeightWindow{10, itself}, MaxAgeWindow{1s}));
  rig.append(1);
  rig.at(500ms);
  rig.append(-1);
  rig.at(600ms);
  rig.at(1600ms);
  CHECK(rig.flat() == std::vector{1, -1});
  rig.close();
}

TEST_CASE("WeightWindow: a new limit takes effect for what is pending", "[emitter]") {
  Rig rig(weighing());
  WeightWindow limit{100};
  rig.consume(limit);
  rig.append(4, 4, 4, 4);
  rig.run();
  CHECK(rig.windows.empty());
  limit.set_limit(8);
  rig.run();
  CHECK(rig.items() == Windows<>{{4, 4}, {4, 4}});
  limit.set_limit(3);
  rig.append(4, 1);
  rig.run();
  CHECK(rig.items() == Windows<>{{4, 4}, {4, 4}, {4}});
  limit.set_limit(20);
  rig.append(19);
  rig.run();
  CHECK(rig.windows.back().items == std::vector{1, 19});
  CHECK(limit.limit() == 20);
  CHECK_THROWS_AS(limit.set_limit(0), ConfigError);
  rig.close();
}

TEST_CASE("WeightWindow: a limit out of range names the argument", "[emitter]") {
  CHECK_THROWS_WITH(WeightWindow{0}, ContainsSubstring("WeightWindow: limit"));
  CHECK_THROWS_WITH(WeightWindow(static_cast<std::uint64_t>(-1)),
                    ContainsSubstring("a negative number?"));
}
