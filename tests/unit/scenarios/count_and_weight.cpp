// The scenarios about windows that fill by count or weight.

#include <microbatch/testing/vector_source.hpp>

#include <numeric>

#include "support/pending_items.hpp"
#include "support/rig.hpp"

using namespace microbatch;
using namespace std::chrono_literals;
using test::Names;
using test::Rig;
using test::Windows;

namespace {

const Windows<> pairs{{0, 1}, {2, 3}, {4, 5}, {6, 7}, {8, 9}};

template <class... Parts>
concept CanCombine = requires(Parts... parts) {
  microbatch::any_of(parts...);
  microbatch::all_of(parts...);
};

std::vector<int> numbers(int n) {
  std::vector<int> all(static_cast<std::size_t>(n));
  std::iota(all.begin(), all.end(), 0);
  return all;
}

}  // namespace

TEST_CASE("scenario 1: ten items in twos are five windows of exactly two", "[scenario]") {
  Rig rig;
  rig.consume(CountWindow{2});
  rig.append_numbers(0, 10);
  rig.run();
  CHECK(rig.items() == pairs);
  rig.close();
  CHECK(rig.items() == pairs);
}

TEST_CASE("scenario 1: an interval beside the count leaves the windows as they are", "[scenario]") {
  Rig rig;
  SECTION("age") { rig.consume(any_of(CountWindow{2}, MaxAgeWindow{1s})); }
  SECTION("relaxed") { rig.consume(any_of(CountWindow{2}, RelaxedTimeWindow{1s})); }
  SECTION("period") { rig.consume(any_of(PeriodWindow{1s}, CountWindow{2})); }
  for (int i = 0; i < 10; ++i) {
    rig.append(i);
    rig.at(i * 10ms);
  }
  rig.at(5s);
  CHECK(rig.items() == pairs);
  CHECK(rig.reasons() == Names(5, "count"));
  rig.close();
  CHECK(rig.items() == pairs);
}

TEST_CASE("scenario 5: a source's items fill ceil(n / size) windows and leave the queue empty",
          "[scenario]") {
  const auto [items, size, expected] =
      GENERATE(std::tuple{1, 10, 1}, std::tuple{100, 10, 10}, std::tuple{1000, 1000, 1});
  testing::ManualClock clock;
  testing::ManualExecutor executor;
  testing::VectorSource<int> source(numbers(items));
  int windows = 0;
  std::vector<int> seen;
  const auto result =
      microbatch::run(source, CountWindow{static_cast<std::size_t>(size)},
                      [&](Window<int>& window) {
                        ++windows;
                        seen.insert(seen.end(), window.begin(), window.end());
                      },
                      {}, {.stream = {.clock = clock}, .consumer = {.executor = executor}});
  CHECK(windows == expected);
  CHECK(seen == numbers(items));
  CHECK(result.stats.pending == 0);
  CHECK(result.stats.delivered == static_cast<std::uint64_t>(items));
  CHECK(result.stats.balances());
  REQUIRE(!source.commits().empty());
  CHECK(source.commits().back().offset == items - 1);
}

TEST_CASE("scenario 7: a flush delivers everything in order, and windows keep their size after it",
          "[scenario]") {
  Rig rig;
  rig.consume(CountWindow{500});
  rig.append_numbers(0, 2048);
  rig.consumer->flush();
  CHECK(rig.flat() == numbers(2048));
  CHECK(rig.reasons() == Names{"count", "count", "count", "count", "flush"});

  rig.append_numbers(2048, 2048);
  rig.consumer->flush();
  CHECK(rig.flat() == numbers(4096));
  std::vector<std::size_t> sizes;
  for (const auto& window : rig.windows) sizes.push_back(window.items.size());
  CHECK(sizes == std::vector<std::size_t>{500, 500, 500, 500, 48, 500, 500, 500, 500, 48});
  rig.close();
}

TEST_CASE("scenario 14: a count of two is ready at the second item, and once", "[scenario]") {
  test::PendingItems<std::string> pending;
  CountWindow emitter{2};
  pending.add("one");
  CHECK_FALSE(emitter.window_ready(*pending, TimePoint{}).ready);
  pending.add("two");
  const Readiness verdict = emitter.window_ready(*pending, TimePoint{});
  CHECK(verdict.ready);
  CHECK(pending.leave(verdict.limit) == std::vector<std::string>{"one", "two"});
  CHECK_FALSE(emitter.window_ready(*pending, TimePoint{}).ready);

  Rig<std::string> rig;
  rig.consume(CountWindow{2});
  rig.append("one");
  rig.run();
  CHECK(rig.windows.empty());
  CHECK(rig.stats().pending == 1);
  rig.append("two");
  rig.run();
  CHECK(rig.items() == Windows<std::string>{{"one", "two"}});
  rig.run();
  CHECK(rig.windows.size() == 1);
  rig.close();
}

TEST_CASE("scenario 15: the item that would pass the weight limit stays pending", "[scenario]") {
  Rig<std::string> rig;
  rig.consume(WeightWindow{10, [](const std::string& text) { return text.size(); }});
  rig.append("foo bar");
  rig.run();
  CHECK(rig.windows.empty());
  rig.append("baz qux");
  rig.run();
  CHECK(rig.items() == Windows<std::string>{{"foo bar"}});
  CHECK(rig.reasons() == Names{"weight"});
  CHECK(rig.stats().pending == 1);
  rig.close();
  CHECK(rig.items() == Windows<std::string>{{"foo bar"}, {"baz qux"}});
}

TEST_CASE("scenario 15: an emitter without a trigger is refused at construction", "[scenario]") {
  STATIC_REQUIRE(CanCombine<CountWindow>);
  STATIC_REQUIRE_FALSE(CanCombine<>);  // any_of(): nothing to be ready
  CHECK_THROWS_AS(CountWindow{0}, ConfigError);
  CHECK_THROWS_AS(WeightWindow{0}, ConfigError);

  SECTION("stored weights, on a stream that stores none") {
    Rig rig;
    CHECK_THROWS_AS(rig.consume(WeightWindow{10}), ConfigError);
  }
  SECTION("a count that the capacity can never reach") {
    Rig rig({.capacity = 9});
    CHECK_THROWS_AS(rig.consume(CountWindow{10}), ConfigError);
    CHECK_NOTHROW(rig.consume(CountWindow{9}));  // the stream is as it was
  }
}

TEST_CASE("scenario 16: what is left when the source ends is a smaller window", "[scenario]") {
  Rig rig;
  rig.consume(CountWindow{10});
  rig.append(1);
  rig.run();
  CHECK(rig.windows.empty());
  rig.close();
  CHECK(rig.items() == Windows<>{{1}});
  CHECK(rig.reasons() == Names{"close"});
}

TEST_CASE("scenario 16: an item above the memory limit is too large and stays with the caller",
          "[scenario]") {
  Rig<std::string> rig(
      {.max_bytes = 10, .weight = [](const std::string& text) { return text.size(); }});
  std::string large(11, 'x');
  CHECK(rig.stream.append(std::move(large)) == AppendResult::too_large);
  CHECK(large == std::string(11, 'x'));  // NOLINT(bugprone-use-after-move): that is the point
  CHECK(rig.stream.stats().refused_too_large == 1);
  CHECK(rig.stream.stats().accepted == 0);
  std::string fits(10, 'y');
  CHECK(rig.stream.append(std::move(fits)) == AppendResult::accepted);
  rig.consume(CountWindow{1});
  rig.close();
}

TEST_CASE("scenario 21: a late consumer of age or count gets windows of the count", "[scenario]") {
  Rig rig;
  rig.consume(any_of(MaxAgeWindow{1s}, CountWindow{3}));
  rig.append_numbers(1, 7);
  rig.leap_to(10s);
  rig.run();
  CHECK(rig.items() == Windows<>{{1, 2, 3}, {4, 5, 6}, {7}});
  rig.close();
}

TEST_CASE("scenario 21: no window weighs more than the limit, whatever its count", "[scenario]") {
  Rig rig({.weight = [](int weight) { return weight; }});
  rig.consume(any_of(CountWindow{3}, WeightWindow{10}));
  rig.append(2, 2, 2, 5, 5, 5);
  rig.run();
  CHECK(rig.items() == Windows<>{{2, 2, 2}, {5, 5}});
  rig.close();
  CHECK(rig.items() == Windows<>{{2, 2, 2}, {5, 5}, {5}});
}
