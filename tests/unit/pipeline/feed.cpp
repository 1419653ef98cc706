// What a source can ask of the pipeline behind its feed.

#include <microbatch/io/generator_source.hpp>
#include <microbatch/io/range_source.hpp>
#include <microbatch/microbatch.hpp>

#include <atomic>
#include <future>
#include <mutex>
#include <numeric>
#include <thread>
#include <vector>

#include "support/catch.hpp"

using namespace microbatch;
using namespace std::chrono_literals;

namespace {

/// Runs what the test says, and remembers its commits.
struct Scripted {
  using value_type = int;

  std::function<void(Feed<int>&)> script;
  std::mutex mutex{};
  std::vector<Origin> commits{};

  void run(Feed<int>& feed, std::stop_token) { script(feed); }
  void commit(Origin last) {
    std::lock_guard lock(mutex);
    commits.push_back(last);
  }
  [[nodiscard]] std::vector<Origin> committed() {
    std::lock_guard lock(mutex);
    return commits;
  }
};

const auto ignore = [](Window<int>&) {};

}  // namespace

TEST_CASE("Feed::flush: a partial window leaves, and its commit is told before flush returns",
          "[source]") {
  Scripted source;
  source.script = [&](Feed<int>& feed) {
    feed.append(1, {.partition = 3, .offset = 7});
    feed.append(2, {.partition = 3, .offset = 9});
    CHECK(feed.flush(1min));
    CHECK(source.committed() == std::vector<Origin>{{3, 9}});
  };
  CHECK(run(source, CountWindow{100}, ignore).closed.delivered == 2);
}

TEST_CASE("Feed::flush: false where it takes longer, and the items stay", "[source]") {
  std::promise<void> release;
  auto released = release.get_future().share();
  Scripted source;
  source.script = [&](Feed<int>& feed) {
    feed.append(1, {.partition = 0, .offset = 0});
    CHECK_FALSE(feed.flush(1ms));
    CHECK(source.committed().empty());
    release.set_value();
  };
  CHECK(run(source, CountWindow{100}, [&](Window<int>&) { released.wait(); }).closed.delivered ==
        1);
  CHECK(source.committed() == std::vector<Origin>{{0, 0}});
}

TEST_CASE("Feed::append_for: an item that finds no room in time is left with the source",
          "[source]") {
  std::promise<void> release;
  auto released = release.get_future().share();
  Scripted source;
  source.script = [&](Feed<int>& feed) {
    std::int64_t offset = 0;
    auto result = AppendResult::accepted;
    while (result == AppendResult::accepted) {
      int item = 1;
      result = feed.append_for(std::move(item), {.partition = 0, .offset = offset}, 1ms);
      if (result == AppendResult::accepted) ++offset;
    }
    CHECK(result == AppendResult::timeout);
    release.set_value();
    CHECK(feed.append_for(2, {.partition = 0, .offset = offset}, 1min) == AppendResult::accepted);
    CHECK(feed.flush(1min));
    CHECK(source.committed().back() == Origin{0, offset});
  };
  (void)run(source, CountWindow{1}, [&](Window<int>&) { released.wait(); }, NoSink{},
            {.stream = {.capacity = 8}});
}

TEST_CASE("Feed::drain: true when all has ended, afterwards nothing is taken", "[source]") {
  Scripted source;
  source.script = [&](Feed<int>& feed) {
    feed.append(1, {.partition = 0, .offset = 4});
    CHECK(feed.drain(1min));
    CHECK(source.committed() == std::vector<Origin>{{0, 4}});
    CHECK(feed.append(2, {.partition = 0, .offset = 5}) == AppendResult::closed);
  };
  CHECK(run(source, CountWindow{100}, ignore).closed.delivered == 1);
}

TEST_CASE("run: what a stuck callback keeps is given up after drain_timeout", "[source]") {
  std::promise<void> release;
  auto released = release.get_future().share();
  Scripted source;
  int steps = 0;
  source.script = [&](Feed<int>& feed) {
    feed.append(1, {.partition = 0, .offset = 0});
    feed.append(2, {.partition = 0, .offset = 1});
    while (!feed.drain(1ms)) ++steps;
  };
  const auto result = run(source, CountWindow{1}, [released](Window<int>&) { released.wait(); },
                          NoSink{}, {.drain_timeout = 50ms});
  CHECK(steps > 0);
  CHECK(result.closed.timed_out);
  CHECK(result.closed.abandoned == 1);
  CHECK(result.closed.handed_back == std::vector{2});
  CHECK(source.committed().empty());
  CHECK(result.stats.balances());
  release.set_value();
}

TEST_CASE("Feed::end_partition: what is in is committed, and the partition may begin anew",
          "[source]") {
  Scripted source;
  source.script = [&](Feed<int>& feed) {
    feed.append(1, {.partition = 0, .offset = 8});
    feed.end_partition(0);
    CHECK(feed.flush(1min));
    feed.append(2, {.partition = 0, .offset = 3});
    CHECK(feed.flush(1min));
    CHECK(source.committed() == std::vector<Origin>{{0, 8}, {0, 3}});
  };
  CHECK(run(source, CountWindow{100}, ignore).closed.delivered == 2);
}

TEST_CASE("run: a stopped source does not wait for room behind a callback that never returns",
          "[source]") {
  // A source without a timeout of its own once waited in append for as long as the callback did.
  std::promise<void> release;
  auto released = release.get_future().share();
  std::promise<void> entered;
  std::stop_source stop;
  int next = 0;
  GeneratorSource numbers([&]() -> std::optional<int> { return next++; });
  RunOptions<int, void> options;
  options.stream.capacity = 1;
  options.stream.overflow = GENERATE(Overflow::block, Overflow::reject);
  options.stop = stop.get_token();
  options.drain_timeout = 10ms;
  std::jthread stopper([&] {
    entered.get_future().wait();
    stop.request_stop();
  });
  const auto result = run(
      numbers, CountWindow{1},
      [&entered, released, first = true](Window<int>&) mutable {
        if (std::exchange(first, false)) entered.set_value();
        released.wait();
      },
      NoSink{}, std::move(options));
  CHECK(result.closed.timed_out);
  CHECK(result.closed.abandoned == 1);
  CHECK(next <= 3);  // the one in the callback, and the one that found no room
  release.set_value();
}

TEST_CASE("Feed::append: what a full stream rejects is offered again, not lost", "[source]") {
  std::vector<int> seen;
  RunOptions<int, void> options;
  options.stream.capacity = 2;
  options.stream.overflow = Overflow::reject;
  std::vector<int> numbers(50);
  std::iota(numbers.begin(), numbers.end(), 0);
  run(
      RangeSource(numbers), CountWindow{1}, [&](Window<int>& window) { seen.push_back(window[0]); },
      NoSink{}, std::move(options));
  CHECK(seen == numbers);
}

namespace {

std::vector<Origin> origins(std::int64_t from, std::size_t n) {
  std::vector<Origin> all;
  for (std::size_t i = 0; i < n; ++i)
    all.push_back({.partition = 1, .offset = from + static_cast<std::int64_t>(i)});
  return all;
}

/// What is committed once all of these have ended.
std::vector<Origin> committed(detail::CommitTracker& tracker, const std::vector<Origin>& ended) {
  tracker.done(ended);
  std::vector<Origin> commits;
  tracker.collect(commits);
  return commits;
}

/// Its third move throws, once.
struct Brittle {
  int value = 0;
  int* moves = nullptr;

  Brittle(int v, int* m) : value(v), moves(m) {}
  Brittle(Brittle&& other) : value(other.value), moves(other.moves) {  // NOLINT
    if (++*moves == 3) throw std::runtime_error("it broke");
  }
  Brittle& operator=(Brittle&&) = default;
};

}  // namespace

TEST_CASE("Feed::append_range_for: takes what there is room for, and expects no more than that",
          "[source]") {
  Stream<int> stream({.capacity = 3});
  const auto tracker = std::make_shared<detail::CommitTracker>();
  Feed<int> feed(stream, tracker);
  std::vector<int> items{1, 2, 3, 4, 5};
  const auto from = origins(10, 5);
  CHECK(feed.append_range_for(items, from, 1ms) == RangeResult{AppendResult::timeout, 3});
  CHECK(committed(*tracker, from) == std::vector<Origin>{{1, 12}});
  CHECK(stream.stats().accepted == 3);
  CHECK(feed.append_range_for(std::span<int>(), {}, 1ms) == RangeResult{AppendResult::accepted, 0});
  stream.close();
  CHECK(feed.append_range_for(std::span(items).last(2), std::span(from).last(2), 1ms) ==
        RangeResult{AppendResult::closed, 0});
}

TEST_CASE("Feed::append_range_for: items arrive in order, each with its origin", "[source]") {
  std::vector<int> seen;
  Scripted source;
  source.script = [&](Feed<int>& feed) {
    std::vector<int> items(1000);
    std::iota(items.begin(), items.end(), 0);
    CHECK(feed.append_range_for(items, origins(0, 1000), 1min) ==
          RangeResult{AppendResult::accepted, 1000});
  };
  // Less room than there are items: it waits for more.
  run(source, CountWindow{7},
      [&](Window<int>& window) { seen.insert(seen.end(), window.begin(), window.end()); }, NoSink{},
      {.stream = {.capacity = 64}});
  REQUIRE(seen.size() == 1000);
  CHECK(std::is_sorted(seen.begin(), seen.end()));
  CHECK(source.committed().back() == Origin{1, 999});
}

TEST_CASE("Feed::append_range_for: what a full stream drops has ended", "[source]") {
  Stream<int> stream({.capacity = 3, .overflow = Overflow::drop_newest});
  const auto tracker = std::make_shared<detail::CommitTracker>();
  Feed<int> feed(stream, tracker);
  std::vector<int> items{1, 2, 3, 4, 5};
  const auto from = origins(10, 5);
  CHECK(feed.append_range_for(items, from, 1ms) == RangeResult{AppendResult::accepted, 5});
  CHECK(committed(*tracker, origins(10, 3)) == std::vector<Origin>{{1, 14}});
}

TEST_CASE("Feed::append_range_for: a move that throws leaves the item and what follows",
          "[source]") {
  Stream<Brittle> stream;
  const auto tracker = std::make_shared<detail::CommitTracker>();
  Feed<Brittle> feed(stream, tracker);
  int moves = 0;
  std::vector<Brittle> items;
  items.reserve(5);
  for (int i = 0; i < 5; ++i) items.emplace_back(i, &moves);
  const auto from = origins(10, 5);
  CHECK_THROWS_WITH(feed.append_range_for(items, from, 1ms), "it broke");
  CHECK(committed(*tracker, from) == std::vector<Origin>{{1, 11}});
  CHECK(feed.append_range_for(std::span(items).last(3), std::span(from).last(3), 1ms) ==
        RangeResult{AppendResult::accepted, 3});
}
