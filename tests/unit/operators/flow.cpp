#include <microbatch/testing/recording_sink.hpp>
#include <microbatch/testing/vector_source.hpp>

#include <map>
#include <set>
#include <stdexcept>
#include <string>

#include "support/rig.hpp"

using namespace microbatch;
using namespace std::chrono_literals;
using testing::RecordingSink;
using testing::VectorSource;

namespace {

struct Sale {
  int second = 0;
  char shop = 'a';
  int amount = 0;
};
std::chrono::seconds when(const Sale& sale) { return std::chrono::seconds(sale.second); }

/// `a 0-10: 7`, for results of event-time windows by shop.
template <class R>
std::string line(const Aggregated<R, char>& result) {
  return fmt::format("{} {}-{}: {}", result.key, result.bounds->begin.time_since_epoch() / 1s,
                     result.bounds->end.time_since_epoch() / 1s, result.value);
}
const auto to_line = [](const auto& result) { return line(result); };
using Lines = std::vector<std::string>;

Lines sorted(Lines lines) {
  std::sort(lines.begin(), lines.end());
  return lines;
}

}  // namespace

TEST_CASE("flow: map, filter and flat_map, then windows, then a sink", "[operators]") {
  const std::vector<int> numbers{1, 2, 3, 4, 5, 6};
  RecordingSink<int> sink;
  auto flow = from(numbers) | map([](int i) { return 10 * i; }) |
              filter([](int i) { return i != 20; }) | flat_map([](int i) {
                return std::vector{i, i + 1};
              }) |
              window(CountWindow{4}) | to(std::ref(sink));
  const auto end = flow.run();
  CHECK(sink.results() == std::vector{10, 11, 30, 31, 40, 41, 50, 51, 60, 61});
  CHECK(sink.closes() == 1);
  CHECK(end.closed.delivered == 10);
  CHECK(end.stats.balances());
}

TEST_CASE("flow: aggregates of windows", "[operators]") {
  const std::vector<int> numbers{5, 3, 8, 3, 1, 9};
  const auto results_of = [&](auto aggregate) {
    auto computed = from(numbers) | window(CountWindow{3}) | aggregate |
                    map([](auto result) { return result.value; });
    std::vector<typename decltype(computed)::Result> all;
    auto flow = std::move(computed) | to([&](const auto& value) { all.push_back(value); });
    flow.run();
    return all;
  };
  CHECK(results_of(count()) == std::vector<std::uint64_t>{3, 3});
  CHECK(results_of(sum()) == std::vector{16, 13});
  CHECK(results_of(sum([](int i) { return 2 * i; })) == std::vector{32, 26});
  CHECK(results_of(min()) == std::vector<std::optional<int>>{3, 1});
  CHECK(results_of(max()) == std::vector<std::optional<int>>{8, 9});
  CHECK(results_of(reduce([](int a, int b) { return a * b; })) ==
        std::vector<std::optional<int>>{120, 27});
  CHECK(results_of(top_n(2)) == std::vector<std::vector<int>>{{8, 5}, {9, 3}});
  CHECK(results_of(distinct([](int i) { return i % 2; })) ==
        std::vector<std::vector<int>>{{1, 0}, {1}});
  CHECK(results_of(aggregate(
            [] { return std::string(); }, [](std::string& all, int i) { all += std::to_string(i); },
            [](std::string&& all) { return all.size(); })) == std::vector<std::size_t>{3, 3});
  CHECK_THROWS_WITH(top_n(0), ContainsSubstring("n must be at least 1"));
}

TEST_CASE("flow: sums by key and event time", "[operators]") {
  const std::vector<Sale> sales{{1, 'a', 5}, {3, 'b', 1}, {8, 'a', 2}, {12, 'a', 4}, {25, 'b', 7}};
  RecordingSink<std::string> sink;
  auto flow = from(sales) | by_key(&Sale::shop) | window(TumblingWindow{10s, when}) |
              sum(&Sale::amount) | map(to_line) | to(std::ref(sink));
  flow.run();
  CHECK(sink.results() == Lines{"a 0-10: 7", "b 0-10: 1", "a 10-20: 4", "b 20-30: 7"});
}

TEST_CASE("flow: hopping windows add up panes, and come to what their items would", "[operators]") {
  const auto seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937 random(seed);
  for (int round = 0; round < 20; ++round) {
    const int hop = 1 + static_cast<int>(random() % 7);
    const int size = hop + static_cast<int>(random() % 20);
    std::vector<Sale> sales;
    for (int i = 0; i < 200; ++i)
      sales.push_back({static_cast<int>(random() % 5) + i / 2,
                       static_cast<char>('a' + random() % 3), static_cast<int>(random() % 10)});
    INFO("size " << size << " hop " << hop);
    const EventTimeOptions rules{.out_of_orderness = 5s};
    RecordingSink<std::string> sink;
    auto flow =
        from(sales) | by_key(&Sale::shop) |
        window(HoppingWindow{std::chrono::seconds(size), std::chrono::seconds(hop), when, rules}) |
        sum(&Sale::amount) | map(to_line) | to(std::ref(sink));
    flow.run();
    // By hand: every window that holds anything.
    Lines expected;
    for (int begin = -(size / hop + 1) * hop; begin < 200; begin += hop) {
      std::map<char, int> sums;
      for (const Sale& sale : sales)
        if (sale.second >= begin && sale.second < begin + size) sums[sale.shop] += sale.amount;
      for (const auto& [shop, amount] : sums)
        expected.push_back(fmt::format("{} {}-{}: {}", shop, begin, begin + size, amount));
    }
    REQUIRE(sorted(sink.results()) == sorted(expected));
  }
}

TEST_CASE(
    "flow: hopping windows merge each pane a few times, however many they are in, and in order",
    "[operators]") {
  constexpr int seconds = 400;
  std::vector<Sale> sales;
  for (int i = 0; i < seconds; ++i)
    for (const char shop : {'a', 'b'}) sales.push_back({i, shop, i % 10});
  std::size_t adds = 0;
  std::size_t merges = 0;
  const auto text = aggregate([] { return std::string(); },
                              [&](std::string& all, const Sale& sale) {
                                ++adds;
                                all += static_cast<char>('0' + sale.amount);
                              },
                              [&](std::string& all, std::string&& other) {
                                ++merges;
                                all += other;
                              },
                              [](std::string&& all) { return std::move(all); });
  std::size_t windows = 0;
  auto flow =
      from(sales) | by_key(&Sale::shop) | window(HoppingWindow{100s, 1s, when}) | text |
      to([&](const Aggregated<std::string, char>& result) {
        ++windows;
        std::string expected;
        for (auto t = result.bounds->begin; t < result.bounds->end; t += 1s)
          if (const auto second = t.time_since_epoch() / 1s; second >= 0 && second < seconds)
            expected += static_cast<char>('0' + second % 10);
        REQUIRE(result.value == expected);
      });
  flow.run();
  CHECK(windows == 2 * (seconds + 99));
  CHECK(adds == 2 * seconds);
  CHECK(merges <= 2 * seconds + 2 * windows);
}

TEST_CASE("flow: hopping windows by panes are those that hold the items, late ones, too",
          "[operators]") {
  const auto seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937 random(seed);
  const auto results_of = [](const std::vector<Sale>& sales, const auto& emitter, auto&& added) {
    std::map<std::string, int> results;
    auto flow = from(sales) | by_key(&Sale::shop) | window(emitter) |
                std::forward<decltype(added)>(added) | side([](Window<Sale>&) {}) |
                to([&](const Aggregated<int, char>& result) {
                  results[fmt::format("{} {} {}-{}", result.reason == Reason::late, result.key,
                                      result.bounds->begin.time_since_epoch() / 1s,
                                      result.bounds->end.time_since_epoch() / 1s)] += result.value;
                });
    flow.run();
    return results;
  };
  const auto lines = [](const std::map<std::string, int>& results) {
    std::string all;
    for (const auto& [window, sum] : results) all += fmt::format("{}: {}\n", window, sum);
    return all;
  };
  for (int round = 0; round < 20; ++round) {
    const int hop = 1 + static_cast<int>(random() % 7);
    const int size = hop + static_cast<int>(random() % 20);
    std::vector<Sale> sales;
    for (int i = 0; i < 300; ++i) {
      int second = i / 2 + static_cast<int>(random() % 5);
      if (random() % 5 == 0) second = std::max(0, second - static_cast<int>(random() % 40));
      sales.push_back(
          {second, static_cast<char>('a' + random() % 3), 1 + static_cast<int>(random() % 10)});
    }
    INFO("size " << size << " hop " << hop);
    const HoppingWindow emitter{std::chrono::seconds(size),
                                std::chrono::seconds(hop),
                                when,
                                {.out_of_orderness = 2s, .allowed_lateness = 10s}};
    const auto add = [](int& all, const Sale& sale) { all += sale.amount; };
    const auto windows =
        results_of(sales, emitter, aggregate([] { return 0; }, add, [](int all) { return all; }));
    const auto panes =
        results_of(sales, emitter,
                   aggregate([] { return 0; }, add, [](int& all, int&& other) { all += other; },
                             [](int all) { return all; }));
    REQUIRE(lines(panes) == lines(windows));
  }
}

TEST_CASE("flow: hopping windows by panes are told when the watermark passes, items or not",
          "[operators]") {
  test::Rig<Sale> rig;
  auto [emitter, work] = detail::AggregateWork<detail::Count>{}.bind<Sale, false>(
      HoppingWindow{10s, 5s, when, {.idle_after = 1s}});
  Lines lines;
  rig.consume(emitter, [&, work = std::move(work)](Window<Sale>& window) mutable {
    work(window, [&](const auto& result) {
      lines.push_back(fmt::format("{}-{}: {}", result.bounds->begin.time_since_epoch() / 1s,
                                  result.bounds->end.time_since_epoch() / 1s, result.value));
    });
  });
  rig.append(Sale{1}, Sale{6}, Sale{7});
  rig.run();
  CHECK(lines == Lines{"-5-5: 1"});
  rig.pass_until(20s);
  CHECK(lines == Lines{"-5-5: 1", "0-10: 3", "5-15: 2"});
  CHECK(rig.stats().delivered == 3);
  // Late for one of its windows, and in time for the other.
  rig.append(Sale{22});
  rig.run();
  rig.pass_until(30s);
  CHECK(lines.back() == "20-30: 1");
  CHECK(rig.stats().delivered == 4);
  rig.close();
}

TEST_CASE("flow: lateness for hopping windows by panes does not depend on how items were swept",
          "[operators]") {
  const auto lines_of = [](bool one_by_one, bool in_time) {
    test::Rig<Sale> rig;
    auto [emitter, work] = detail::AggregateWork<detail::Count>{}.bind<Sale, false>(
        HoppingWindow{17s, 6s, when, {.allowed_lateness = 10s}});
    Lines lines;
    const auto out = [&](const auto& result) {
      lines.push_back(fmt::format("{}{}-{}: {}", result.reason == Reason::late ? "late " : "",
                                  result.bounds->begin.time_since_epoch() / 1s,
                                  result.bounds->end.time_since_epoch() / 1s, result.value));
    };
    rig.consume(emitter, [&, &work = work](Window<Sale>& window) {
      if (window.reason() != Reason::too_late) work(window, out);
    });
    for (const int second : {100, 90, 83, 77, 130}) {
      rig.append(Sale{second});
      if (one_by_one) rig.run();
    }
    if (in_time) rig.run();
    rig.close();
    work.finish(out);
    return sorted(lines);
  };
  // 90 is late for the window until 95, 83 for all of its own, and 77 has come too late.
  const Lines expected{"114-131: 1", "120-137: 1", "126-143: 1",   "84-101: 2",
                       "90-107: 2",  "96-113: 1",  "late 78-95: 1"};
  CHECK(lines_of(true, true) == expected);
  CHECK(lines_of(false, true) == expected);
  CHECK(lines_of(false, false) == expected);  // all of it by the close
}

TEST_CASE("flow: what comes too late is a dead letter, or side() takes it", "[operators]") {
  const std::vector<Sale> sales{{1, 'a', 1}, {15, 'a', 1}, {2, 'a', 1}, {-1, 'a', 1}};
  std::vector<Reason> aside;
  std::vector<std::string> dead;
  SECTION("dead letters") {
    auto flow = from(sales) | window(TumblingWindow{10s, when}) | count() | to([](const auto&) {});
    const auto end = flow.run({.consumer = {.dead_letters = [&](const DeadLetter<Sale>& letter) {
                                 dead.push_back(letter.error);
                               }}});
    CHECK(end.closed.dead_lettered == 2);
    CHECK(end.closed.delivered == 2);
    REQUIRE(dead.size() == 2);
    CHECK_THAT(dead[0], ContainsSubstring("too late"));
    CHECK_THAT(dead[1], ContainsSubstring("no usable event time"));
  }
  SECTION("side") {
    auto flow = from(sales) | window(TumblingWindow{10s, when}) | count() |
                side([&](Window<Sale>& window) { aside.push_back(window.reason()); }) |
                to([](const auto&) {});
    const auto end = flow.run();
    CHECK(end.closed.delivered == 4);
    CHECK(aside == std::vector{Reason::too_late, Reason::unplaced});
  }
}

TEST_CASE("flow: commits reach the source through filter and flat_map", "[operators]") {
  VectorSource<int> source({0, 1, 2, 3, 4});
  RecordingSink<int> sink;
  auto flow = from(source) |
              flat_map([](int i) { return std::vector<int>(static_cast<std::size_t>(i % 3), i); }) |
              window(CountWindow{2}) | to(std::ref(sink));
  flow.run();
  CHECK(sink.results() == std::vector{1, 2, 2, 4});
  REQUIRE_FALSE(source.commits().empty());
  CHECK(source.commits().back() == Origin{0, 4});
}

TEST_CASE("flow: nothing is committed beyond what failed", "[operators]") {
  // The window with 3 is never delivered: the stream stops with it.
  struct Stopping {
    using value_type = int;
    std::vector<std::int64_t> commits;
    void run(Feed<int>& feed, std::stop_token) {
      for (int i = 0; i < 6; ++i)
        if (feed.append(i, {0, i}) != AppendResult::accepted) return;
    }
    void commit(Origin last) { commits.push_back(last.offset); }
  };
  Stopping source;
  std::set<int> tried;
  auto flow = from(source) | map([](int i) { return i; }) | window(CountWindow{2}) |
              process([&](std::span<const int> items) {
                for (const int item : items) {
                  tried.insert(item);
                  if (item == 3) throw std::runtime_error("three");
                }
                return items.size();
              }) |
              to([](std::size_t) {});
  const auto end = flow.run({.consumer = {.on_failure = {.max_attempts = 1}}});
  CHECK(end.closed.dead_lettered == 1);  // it has ended, so it is committed, too
  CHECK(source.commits.back() == 5);
  CHECK(tried.size() == 6);
}

TEST_CASE("flow: merged sources each hear of their own commits", "[operators]") {
  VectorSource<int> a({1, 2, 3});
  VectorSource<std::string> b({"4", "5"});
  RecordingSink<int> sink;
  auto flow = merge(from(a), from(b) | map([](const std::string& s) { return std::stoi(s); })) |
              window(CountWindow{2}) | to(std::ref(sink));
  flow.run();
  const auto results = sink.results();
  CHECK(std::multiset<int>(results.begin(), results.end()) == std::multiset<int>{1, 2, 3, 4, 5});
  CHECK(a.commits().back() == Origin{0, 2});
  CHECK(b.commits().back() == Origin{0, 1});
}

TEST_CASE("flow: an error of a source comes out of run, after the rest was drained",
          "[operators]") {
  struct Failing {
    using value_type = int;
    void run(Feed<int>& feed, std::stop_token) {
      (void)feed.append(1);
      throw std::runtime_error("gone");
    }
  };
  RecordingSink<int> sink;
  auto flow = from(Failing{}) | window(CountWindow{5}) | to(std::ref(sink));
  CHECK_THROWS_WITH(flow.run(), ContainsSubstring("gone"));
  CHECK(sink.results() == std::vector{1});
}

TEST_CASE("flow: branch parts the results, and repeats only what failed", "[operators]") {
  const std::vector<int> numbers{1, 2, 3, 4};
  RecordingSink<int> even;
  RecordingSink<int> odd;
  odd.fail_next(1);
  auto flow = from(numbers) | window(CountWindow{4}) |
              to(branch([](int i) { return i % 2 == 0; }, std::ref(even), std::ref(odd)));
  flow.run({.consumer = {.on_failure = {.first_delay = 1ms}}});
  CHECK(even.results() == std::vector{2, 4});
  CHECK(odd.results() == std::vector{1, 3});
  CHECK(even.closes() == 1);
}

TEST_CASE("flow: hopping sums need windows in order", "[operators]") {
  const std::vector<Sale> sales;
  auto flow = from(sales) | window(HoppingWindow{10s, 5s, when}) | count() | to([](const auto&) {});
  CHECK_THROWS_AS(flow.run({.consumer = {.order = Order::unordered}}), ConfigError);
}

namespace {

struct View {
  int second;
  int user;
};
struct Click {
  int second;
  int user;
};
const auto join_by =
    JoinBy{&View::user, [](const View& v) { return std::chrono::seconds(v.second); }, &Click::user,
           [](const Click& c) { return std::chrono::seconds(c.second); }};

Lines run_join(const std::vector<View>& views, const std::vector<Click>& clicks,
               const JoinRules& rules) {
  Lines lines;
  auto flow =
      join(from(views), from(clicks), join_by, rules) | to([&](const Joined<View, Click>& pair) {
        lines.push_back(fmt::format("{}@{}-{}", pair.left.user, pair.left.second,
                                    pair.right ? std::to_string(pair.right->second) : "?"));
      });
  const auto end = flow.run();
  CHECK(end.stats.balances());
  CHECK(end.closed.dead_lettered == 0);
  return sorted(lines);
}

}  // namespace

TEST_CASE("join: a click that follows its view within five seconds", "[operators]") {
  const std::vector<View> views{{1, 1}, {2, 2}, {10, 1}, {30, 3}};
  const std::vector<Click> clicks{{3, 1}, {6, 1}, {7, 1}, {8, 2}, {10, 1}, {15, 1}};
  // Two threads bring them: nothing may be late, whichever is ahead.
  const EventTimeOptions any_order{.out_of_orderness = 1h};
  CHECK(run_join(views, clicks, {.to = 5s, .event_time = any_order}) ==
        Lines{"1@1-3", "1@1-6", "1@10-10", "1@10-15"});
  CHECK(run_join(views, clicks, {.to = 5s, .joining = Joining::left, .event_time = any_order}) ==
        Lines{"1@1-3", "1@1-6", "1@10-10", "1@10-15", "2@2-?", "3@30-?"});
  CHECK_THROWS_WITH(run_join(views, clicks, {.from = 2s, .to = 1s}),
                    ContainsSubstring("from must be at most to"));
}

TEST_CASE("join: gives what a plain double loop gives", "[operators]") {
  const auto seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937 random(seed);
  for (int round = 0; round < 15; ++round) {
    std::vector<View> views;
    std::vector<Click> clicks;
    for (int i = 0; i < 60; ++i) {
      views.push_back({static_cast<int>(random() % 100), static_cast<int>(random() % 4)});
      clicks.push_back({static_cast<int>(random() % 100), static_cast<int>(random() % 4)});
    }
    const int from = static_cast<int>(random() % 15) - 10;
    const int to = from + static_cast<int>(random() % 15);
    const bool left = random() % 2 == 0;
    INFO("from " << from << " to " << to << " left " << left);
    Lines expected;
    for (const View& view : views) {
      bool any = false;
      for (const Click& click : clicks) {
        const int after = click.second - view.second;
        if (click.user != view.user || after < from || after > to) continue;
        any = true;
        expected.push_back(fmt::format("{}@{}-{}", view.user, view.second, click.second));
      }
      if (!any && left) expected.push_back(fmt::format("{}@{}-?", view.user, view.second));
    }
    REQUIRE(run_join(views, clicks,
                     {.from = std::chrono::seconds(from),
                      .to = std::chrono::seconds(to),
                      .joining = left ? Joining::left : Joining::inner,
                      .event_time = {.out_of_orderness = 1h}}) == sorted(expected));
  }
}
