#include <microbatch/testing/recording_sink.hpp>
#include <microbatch/testing/vector_source.hpp>

#include <map>
#include <stdexcept>
#include <vector>

#include "support/rig.hpp"

using namespace microbatch;
using namespace std::chrono_literals;
using testing::RecordingSink;
using testing::VectorSource;

namespace {

struct Item {
  int key = 0;
  std::int64_t value = 0;
};
using SumOf = decltype(sum(&Item::value));
using Bound = detail::Bound<SumOf, Item>;
using Fold = detail::KeyedFold<Item, Bound::type, int Item::*>;
using Result = Aggregated<std::int64_t, int>;

std::vector<Item> random_items(unsigned seed, std::size_t n, int keys) {
  std::mt19937 random(seed);
  std::vector<Item> items;
  for (std::size_t i = 0; i < n; ++i)
    items.push_back(
        {static_cast<int>(random()) % keys, static_cast<std::int64_t>(random() % 1000)});
  return items;
}

/// By key, what windows of `size` come to, in order; the last one may not be full.
using Sums = std::map<int, std::vector<std::int64_t>>;
Sums plainly(const std::vector<Item>& items, std::size_t size) {
  std::map<int, std::vector<Item>> by_key;
  for (const Item& item : items) by_key[item.key].push_back(item);
  Sums sums;
  for (const auto& [key, mine] : by_key)
    for (std::size_t i = 0; i < mine.size(); ++i) {
      if (i % size == 0) sums[key].push_back(0);
      sums[key].back() += mine[i].value;
    }
  return sums;
}
Sums sums_of(const std::vector<Result>& results) {
  Sums sums;
  for (const Result& result : results) sums[result.key].push_back(result.value);
  return sums;
}

/// Windows of arrivals as the engine would hand them over.
struct Calls {
  std::vector<Item> items;
  Fold fold{&Item::key, CountWindow{2}, Bound::make(sum(&Item::value))};
  detail::WindowInfo info{};
  std::vector<detail::Rejection> rejections{};

  std::vector<std::int64_t> call(std::size_t from, std::size_t to, std::uint32_t part = 0) {
    Window<Item> window({items.data() + from, to - from}, info, part, 1, rejections, {});
    std::vector<std::int64_t> values;
    fold(window, [&](const Result& result) { values.push_back(result.value); });
    return values;
  }
};

}  // namespace

static_assert(detail::FoldsSafely<Item, Bound::type, int Item::*>);
static_assert(!detail::FoldsSafely<Item, Bound::type, std::string (*)(const Item&)>);

TEST_CASE("count windows by key are added up as they come, to what a plain loop gives",
          "[operators]") {
  const auto seed = std::random_device{}();
  INFO("seed " << seed);
  for (const int keys : {1, 7, 300}) {
    const auto items = random_items(seed, 5000, keys);
    for (const std::size_t size : {std::size_t{1}, std::size_t{3}, std::size_t{64}}) {
      std::vector<Result> results;
      auto flow = from(items) | by_key(&Item::key) | window(CountWindow{size}) | sum(&Item::value) |
                  to([&](const Result& r) { results.push_back(r); });
      // Any order would do: it is kept all the same.
      const auto end =
          flow.run({.stream = {.capacity = 100}, .consumer = {.order = Order::unordered}});
      CHECK(sums_of(results) == plainly(items, size));
      CHECK(end.closed.delivered == items.size());
      CHECK(end.stats.balances());
    }
  }
}

TEST_CASE("count windows by key: a window that is tried again adds nothing up twice",
          "[operators]") {
  Calls calls{.items = {{1, 10}, {2, 1}, {1, 20}, {2, 2}, {1, 30}}};
  CHECK(calls.call(0, 5) == std::vector<std::int64_t>{30, 3});
  CHECK(calls.call(0, 5) == std::vector<std::int64_t>{30, 3});
  SECTION("a part of it gives what its own items filled") {
    CHECK(calls.call(0, 2, 1).empty());
    CHECK(calls.call(2, 3, 2) == std::vector<std::int64_t>{30});
    CHECK(calls.call(3, 5, 3) == std::vector<std::int64_t>{3});
  }
  SECTION("what it left open goes on in the next window") {
    calls.items = {{1, 40}};
    calls.info.sequence = 1;
    CHECK(calls.call(0, 1) == std::vector<std::int64_t>{70});
  }
}

TEST_CASE("count windows by key: a sink that fails for a while gets every result once",
          "[operators]") {
  const auto items = random_items(5, 1000, 3);
  RecordingSink<Result> sink;
  sink.fail_next(2);
  auto flow = from(items) | by_key(&Item::key) | window(CountWindow{10}) | sum(&Item::value) |
              to(std::ref(sink));
  flow.run({.consumer = {.on_failure = {.first_delay = 1ms}}});
  CHECK(sums_of(sink.results()) == plainly(items, 10));
}

TEST_CASE("count windows by key: a stage that fails for one result loses no other", "[operators]") {
  const auto items = random_items(6, 1000, 3);
  const Sums expected = plainly(items, 10);
  const std::int64_t bad = expected.at(1).at(3);
  std::vector<Result> results;
  auto flow = from(items) | by_key(&Item::key) | window(CountWindow{10}) | sum(&Item::value) |
              map([&](const Result& r) {
                if (r.key == 1 && r.value == bad) throw std::runtime_error("not this one");
                return r;
              }) |
              to([&](const Result& r) { results.push_back(r); });
  const auto end = flow.run({.consumer = {.on_failure = {.max_attempts = 2, .first_delay = 1ms}}});
  Sums without = expected;
  const auto lost = static_cast<std::size_t>(std::erase(without[1], bad));
  CHECK(sums_of(results) == without);
  CHECK(end.closed.dead_lettered == lost);  // the items that would have filled it
  CHECK(end.stats.balances());
}

TEST_CASE("count windows by key: a source that hears of commits hears of them with the results",
          "[operators]") {
  VectorSource<Item> source({{1, 1}, {2, 1}, {1, 1}});
  std::vector<std::pair<int, std::size_t>> seen;  // key, and how many commits there had been
  auto flow = from(source) | by_key(&Item::key) | window(CountWindow{2}) | sum(&Item::value) |
              to([&](const Result& r) { seen.emplace_back(r.key, source.commits().size()); });
  flow.run();
  CHECK(seen == std::vector<std::pair<int, std::size_t>>{{1, 0}, {2, 1}});
  CHECK(source.commits().back() == Origin{0, 2});
}
