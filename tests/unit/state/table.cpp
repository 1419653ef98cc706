#include <microbatch/state/table.hpp>

#include <atomic>
#include <map>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>

#include "support/rig.hpp"

using namespace microbatch;
using namespace std::chrono_literals;

TEST_CASE("Table: windows update it, anybody reads it", "[state]") {
  Table<std::string, int> words;
  test::Rig<std::string> rig;
  rig.consume(CountWindow{3}, [&](Window<std::string>& window) {
    words.transaction([&](auto& rows) {
      for (const std::string& word : window) ++rows[word];
    });
  });
  rig.append(std::string("a"), std::string("b"), std::string("a"));
  rig.run();
  CHECK(words.get("a") == 2);
  CHECK(words.get("b") == 1);
  CHECK_FALSE(words.get("c"));
  CHECK(words.size() == 2);
  rig.close();
}

TEST_CASE("Table: a transaction that throws has changed nothing", "[state]") {
  Table<int, int> table;
  table.put(1, 10);
  CHECK_THROWS_AS(table.transaction([&](auto& rows) {
    ++rows[1];
    ++rows[2];
    CHECK(rows.get(1) == 11);
    throw std::runtime_error("no");
  }),
                  std::runtime_error);
  CHECK(table.get(1) == 10);
  CHECK(table.size() == 1);
}

TEST_CASE("Table: a window that is tried again does not count twice", "[state]") {
  Table<int, int> table;
  test::Rig rig;
  int failures = 2;
  rig.consume(CountWindow{2}, [&](Window<int>& window) {
    table.transaction([&](auto& rows) {
      for (const int item : window) rows[0] += item;
      if (failures-- > 0) throw TransientError("not yet");
    });
  });
  rig.append(1, 2);
  rig.pass_until(10s);
  CHECK(table.get(0) == 3);
  rig.close();
}

TEST_CASE("Table: keys untouched for long go", "[state]") {
  testing::ManualClock clock;
  Table<int, int> table({.max_age = 10s, .clock = &clock});
  table.put(1, 1);
  clock.advance(6s);
  table.put(2, 2);
  table.update(1, [](int& value) { ++value; });
  clock.advance(6s);
  CHECK(table.get(1) == 2);
  CHECK(table.get(2) == 2);
  clock.advance(4s);
  CHECK_FALSE(table.get(1));
  CHECK(table.snapshot().empty());
  table.put(3, 3);  // the old ones make room when somebody writes
  CHECK(table.size() == 1);
  CHECK(table.evicted() == 2);
  table.update(1, [](int& value) { CHECK(value == 0); });
}

TEST_CASE("Table: beyond its bound the keys untouched for longest go, or it refuses", "[state]") {
  SECTION("evict") {
    Table<int, int> table({.max_keys = 3});
    for (int key = 0; key < 3; ++key) table.put(key, key);
    table.put(0, 7);
    table.put(3, 3);
    CHECK_FALSE(table.get(1));
    CHECK(table.get(0) == 7);
    CHECK(table.evicted() == 1);
  }
  SECTION("refuse") {
    Table<int, int> table({.max_keys = 2, .evict = false});
    table.put(0, 0);
    CHECK_THROWS_AS(table.transaction([](auto& rows) {
      rows[1] = 1;
      rows[2] = 2;
    }),
                    TableFull);
    CHECK(table.size() == 1);
    table.put(1, 1);
    table.put(0, 5);
    CHECK(table.get(0) == 5);
  }
}

TEST_CASE("Table: settings that cannot work are refused", "[state]") {
  using T = Table<int, int>;
  CHECK_THROWS_WITH(T({.max_keys = 0}), ContainsSubstring("max_keys must be at least 1"));
  CHECK_THROWS_WITH(T({.max_age = 0s}), ContainsSubstring("max_age must be above 0"));
  CHECK_THROWS_WITH(T({.clock = nullptr}), ContainsSubstring("clock must not be null"));
}

TEST_CASE("Table: keeps what a plain map and list would, whatever is done", "[state]") {
  const auto seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937 random(seed);
  testing::ManualClock clock;
  Table<int, int> table({.max_keys = 20, .max_age = 50s, .clock = &clock});
  struct Row {
    int value;
    TimePoint touched;
    int order;
  };
  std::map<int, Row> model;
  for (int step = 0; step < 3'000; ++step) {
    clock.advance(std::chrono::seconds(random() % 5));
    std::erase_if(model, [&](const auto& row) { return clock.now() >= row.second.touched + 50s; });
    const int key = static_cast<int>(random() % 60);
    if (random() % 10 == 0) {
      const bool there = table.erase(key);
      REQUIRE((there || !model.contains(key)));
      model.erase(key);
    } else {
      table.update(key, [&](int& value) { value += step; });
      const int before = model.contains(key) ? model[key].value : 0;
      model[key] = {before + step, clock.now(), step};
      if (model.size() > 20)
        model.erase(std::min_element(model.begin(), model.end(), [](const auto& a, const auto& b) {
          return a.second.order < b.second.order;
        }));
    }
    const int probe = static_cast<int>(random() % 60);
    const auto value = table.get(probe);
    if (value.has_value() != model.contains(probe) || (value && *value != model[probe].value))
      FAIL("at step " << step << ", key " << probe);
  }
  CHECK(table.snapshot().size() == model.size());
}

TEST_CASE("Table: readers see whole transactions", "[state]") {
  Table<int, int> table;
  std::atomic<bool> done{false};
  std::jthread writer([&] {
    for (int i = 1; i <= 500; ++i)
      table.transaction([&](auto& rows) {
        for (int key = 0; key < 4; ++key) rows[key] = i;
      });
    done = true;
  });
  bool whole = true;
  while (!done) {
    const auto rows = table.snapshot();
    for (const auto& [key, value] : rows) whole = whole && value == rows[0].second;
    std::this_thread::yield();
  }
  CHECK(whole);
}
