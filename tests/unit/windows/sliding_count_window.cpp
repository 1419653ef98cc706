#include <stdexcept>

#include "support/rig.hpp"

using namespace microbatch;
using test::Names;
using test::Rig;
using test::Windows;

TEST_CASE("SlidingCountWindow: the last 4 items, every 2", "[windows]") {
  Rig rig;
  rig.consume(SlidingCountWindow{4, 2});
  rig.append_numbers(1, 8);
  rig.run();
  CHECK(rig.items() == Windows<>{{1, 2, 3, 4}, {3, 4, 5, 6}, {5, 6, 7, 8}});
  CHECK(rig.stats().delivered == 6);  // an item ends with the last window that holds it
  CHECK(rig.stats().pending == 2);
  rig.append(9);
  rig.close();
  CHECK(rig.windows.back().items == std::vector{7, 8, 9});
  CHECK(rig.stats().delivered == 9);
}

TEST_CASE("SlidingCountWindow: a slide of the size is a CountWindow", "[windows]") {
  Rig rig;
  rig.consume(SlidingCountWindow{2, 2});
  rig.append_numbers(1, 5);
  rig.run();
  CHECK(rig.items() == Windows<>{{1, 2}, {3, 4}});
  rig.close();
}

TEST_CASE("SlidingCountWindow: after a flush the windows begin anew", "[windows]") {
  Rig rig;
  rig.consume(SlidingCountWindow{3, 1});
  rig.append(1, 2, 3, 4);
  rig.run();
  rig.consumer->flush();
  CHECK(rig.items() == Windows<>{{1, 2, 3}, {2, 3, 4}, {3, 4}});
  rig.append(5, 6, 7);
  rig.run();
  CHECK(rig.windows.back().items == std::vector{5, 6, 7});
  rig.close();
}

TEST_CASE("SlidingCountWindow: a retry sees the copies again, and the ledger counts each item once",
          "[windows]") {
  Rig rig;
  int failures = 2;
  rig.consume(SlidingCountWindow{3, 1}, [&](Window<int>&) {
    if (failures-- > 0) throw TransientError("down");
  });
  rig.append(1, 2, 3, 4);
  rig.pass_until(std::chrono::seconds(5));
  CHECK(rig.items() == Windows<>{{1, 2, 3}, {2, 3, 4}});
  CHECK(rig.windows[0].attempt == 3);
  rig.close();
  CHECK(rig.stats().delivered == 4);
}

TEST_CASE("SlidingCountWindow: a poison item is judged by the window with which it leaves",
          "[windows]") {
  Rig rig;
  rig.consume(SlidingCountWindow{3, 1},
              [](Window<int>& window) {
                for (const int item : window)
                  if (item == 3) throw std::runtime_error("three");
              },
              {.on_failure = {.max_attempts = 1, .isolate = Isolate::always}});
  rig.append_numbers(1, 6);
  rig.pass_until(std::chrono::seconds(60));
  const auto end = rig.close();
  CHECK(end.dead_lettered == 1);
  CHECK(end.delivered == 5);
  const auto letters = rig.consumer->take_dead_letters();
  REQUIRE(letters.size() == 1);
  CHECK(letters[0].item == 3);
}

TEST_CASE("SlidingCountWindow: what a window rejects among its copies is not dead yet",
          "[windows]") {
  Rig rig;
  rig.consume(SlidingCountWindow{2, 1}, [](Window<int>& window) {
    for (std::size_t i = 0; i < window.size(); ++i)
      if (window[i] == 2 && i == 1) window.reject(i, "not yet mine");
  });
  rig.append(1, 2, 3);
  rig.run();
  const auto end = rig.close();
  CHECK(end.dead_lettered == 0);
  CHECK(end.delivered == 3);
}

TEST_CASE("SlidingCountWindow: handed back items are the originals, each once", "[windows]") {
  Rig rig;
  rig.consume(SlidingCountWindow{3, 1});
  rig.append(1, 2, 3);
  rig.run();
  const auto end = rig.stop();
  CHECK(end.delivered == 1);
  CHECK(end.handed_back == std::vector{2, 3});
}

TEST_CASE("SlidingCountWindow: a copy that throws loses nothing", "[windows]") {
  struct Fragile {
    explicit Fragile(int v, int* left) : value(v), copies_left(left) {}
    Fragile(Fragile&&) = default;
    Fragile(const Fragile& other) : value(other.value), copies_left(other.copies_left) {
      if ((*copies_left)-- == 0) throw std::runtime_error("no copy");
    }
    Fragile& operator=(Fragile&&) = default;
    int value;
    int* copies_left;
  };
  testing::ManualClock clock;
  testing::ManualExecutor executor;
  Stream<Fragile> stream({.clock = clock});
  std::vector<std::vector<int>> windows;
  int errors = 0;
  auto consumer =
      streaming(stream, SlidingCountWindow{3, 1},
                [&](Window<Fragile>& window) {
                  windows.emplace_back();
                  for (const Fragile& f : window) windows.back().push_back(f.value);
                },
                {.executor = executor, .on_error = [&](const BackgroundError&) { ++errors; }});
  int left = 1;
  for (int i = 1; i <= 3; ++i) REQUIRE(stream.append(Fragile(i, &left)) == AppendResult::accepted);
  executor.run_ready();
  CHECK(windows.empty());
  CHECK(errors == 1);
  left = 1000;
  REQUIRE(stream.append(Fragile(4, &left)) == AppendResult::accepted);
  executor.run_ready();
  CHECK(windows == std::vector<std::vector<int>>{{1, 2, 3}, {2, 3, 4}});
  (void)consumer.close();
  CHECK(consumer.stats().delivered == 4);
  CHECK(consumer.stats().balances());
}

TEST_CASE("SlidingCountWindow: a slide of 0 or above the size is refused, and so is disorder",
          "[windows]") {
  CHECK_THROWS_WITH((SlidingCountWindow{4, 0}), ContainsSubstring("slide must be from 1"));
  CHECK_THROWS_WITH((SlidingCountWindow{4, 5}), ContainsSubstring("to the size, 4, got 5"));
  CHECK_THROWS_AS((SlidingCountWindow{0, 1}), ConfigError);
  Rig rig;
  CHECK_THROWS_WITH(rig.consume(SlidingCountWindow{2, 1}, {.order = Order::unordered}),
                    ContainsSubstring("overlap"));
}

TEST_CASE("SlidingCountWindow: with many workers its windows commit in order", "[windows]") {
  Rig rig({}, 3);
  rig.consume(SlidingCountWindow{2, 1}, {.order = Order::committed_in_order});
  rig.append_numbers(1, 5);
  rig.run();
  CHECK(rig.items() == Windows<>{{1, 2}, {2, 3}, {3, 4}, {4, 5}});
  rig.close();
}
