#include "support/catch.hpp"

#include <microbatch/microbatch.hpp>
#include <microbatch/testing/manual_clock.hpp>
#include <microbatch/testing/manual_executor.hpp>

#include <latch>
#include <list>
#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

using namespace microbatch;
using namespace std::chrono_literals;

namespace {

/// A stream with a consumer that keeps what it was given.
template <class T>
struct Kept {
  testing::ManualClock clock;
  testing::ManualExecutor executor;
  Stream<T> stream;
  std::vector<T> items;
  Consumer<T> consumer;

  explicit Kept(StreamOptions<T> options = {})
      : stream((options.clock = clock, std::move(options))),
        consumer(streaming(stream, CountWindow{1},
                           [this](Window<T>& window) {
                             for (T& item : window) items.push_back(std::move(item));
                           },
                           {.executor = executor})) {}
};

struct ThrowingCopy {
  int value = 0;
  bool throws = false;
  explicit ThrowingCopy(int v, bool t = false) : value(v), throws(t) {}
  ThrowingCopy(const ThrowingCopy& other) : value(other.value), throws(other.throws) {
    if (throws) throw std::runtime_error("copy");
  }
  ThrowingCopy(ThrowingCopy&& other) noexcept : value(other.value), throws(other.throws) {}
};

}  // namespace

TEST_CASE("every form of append brings its item to the callback, in order", "[stream]") {
  Kept<std::string> kept;
  auto producer = kept.stream.producer();
  const std::string copied = "copied";
  CHECK(kept.stream.append("moved") == AppendResult::accepted);
  CHECK(kept.stream.append(copied) == AppendResult::accepted);
  CHECK(kept.stream.try_append("tried") == AppendResult::accepted);
  CHECK(kept.stream.try_append(copied) == AppendResult::accepted);
  CHECK(kept.stream.append_for("timed", 0s) == AppendResult::accepted);
  CHECK(kept.stream.append_for(copied, 1h) == AppendResult::accepted);
  CHECK(kept.stream.append_range(std::vector<std::string>{"a", "b"}) ==
        RangeResult{AppendResult::accepted, 2});
  CHECK(kept.stream.append("acknowledged", ack).result() == AppendResult::accepted);
  bool told = false;
  CHECK(kept.stream.append(copied, [&](const std::exception_ptr& error) {
    told = error == nullptr;
  }) == AppendResult::accepted);
  kept.executor.run_ready();
  CHECK(kept.items == std::vector<std::string>{"moved", "copied", "tried", "copied", "timed",
                                               "copied", "a", "b", "acknowledged", "copied"});
  CHECK(told);
  CHECK(producer.append("by handle") == AppendResult::accepted);
  CHECK(producer.try_append("again") == AppendResult::accepted);
  kept.executor.run_ready();
  CHECK(kept.items.back() == "again");
  CHECK(kept.stream.stats().delivered == 12);
}

TEST_CASE("append_range takes any input range, and moves where the range yields rvalues",
          "[stream]") {
  Kept<std::string> kept;
  std::list<std::string> list{"1", "2"};
  CHECK(kept.stream.append_range(list).accepted == 2);
  CHECK(list.front() == "1");
  std::istringstream words("3 4 5");
  CHECK(kept.stream
            .append_range(std::ranges::subrange(std::istream_iterator<std::string>(words),
                                                std::istream_iterator<std::string>()))
            .accepted == 3);
  std::vector<std::string> moved{std::string(100, '6')};
  CHECK(kept.stream
            .append_range(std::ranges::subrange(std::make_move_iterator(moved.begin()),
                                                std::make_move_iterator(moved.end())))
            .accepted == 1);
  CHECK(moved.front().empty());
  kept.executor.run_ready();
  CHECK(kept.items == std::vector<std::string>{"1", "2", "3", "4", "5", std::string(100, '6')});
}

TEST_CASE("an empty range is accepted and makes no window", "[stream]") {
  Kept<int> kept;
  CHECK(kept.stream.append_range(std::vector<int>{}) == RangeResult{AppendResult::accepted, 0});
  kept.executor.run_ready();
  CHECK(kept.stream.stats().windows == 0);
  CHECK(kept.stream.stats().offered == 0);
}

TEST_CASE("append_range tells how many were accepted before the stream was full", "[stream]") {
  Stream<int> stream({.capacity = 5, .overflow = Overflow::reject});
  const std::vector<int> items{1, 2, 3, 4, 5, 6, 7};
  CHECK(stream.append_range(items) == RangeResult{AppendResult::full, 5});
  CHECK(stream.stats().accepted == 5);
  CHECK(stream.append_range(items) == RangeResult{AppendResult::full, 0});
}

TEST_CASE("where making the k-th item of a range throws, the k before it were accepted",
          "[stream]") {
  const std::size_t k = GENERATE(as<std::size_t>{}, 0, 1, 6, 19);
  const bool weighs = GENERATE(false, true);
  Kept<ThrowingCopy> kept(
      weighs ? StreamOptions<ThrowingCopy>{.capacity = 64,
                                           .weight = [](const ThrowingCopy&) { return 1; }}
             : StreamOptions<ThrowingCopy>{.capacity = 64});
  std::vector<ThrowingCopy> items;
  items.reserve(20);
  for (std::size_t i = 0; i < 20; ++i) items.emplace_back(static_cast<int>(i), i == k);
  CHECK_THROWS_WITH((void)kept.stream.append_range(items), "copy");
  CHECK(kept.stream.stats().accepted == k);
  CHECK(kept.stream.stats().offered == k);
  CHECK(kept.stream.append(ThrowingCopy(99)) == AppendResult::accepted);
  kept.executor.run_ready();
  REQUIRE(kept.items.size() == k + 1);
  for (std::size_t i = 0; i < k; ++i) CHECK(kept.items[i].value == static_cast<int>(i));
  CHECK(kept.stream.stats().balances());
}

TEST_CASE("an append whose copy throws is not counted and leaves no hole", "[stream]") {
  Kept<ThrowingCopy> kept;
  const ThrowingCopy bad(1, true);
  kept.stream.append(ThrowingCopy(0));
  CHECK_THROWS_WITH(kept.stream.append(bad), "copy");
  CHECK_THROWS_WITH((void)kept.stream.try_append(bad), "copy");
  CHECK(kept.stream.stats().offered == 1);
  kept.stream.append(ThrowingCopy(2));
  kept.executor.run_ready();
  REQUIRE(kept.items.size() == 2);
  CHECK(kept.items[1].value == 2);
}

/// Stops in the middle of its copy, as a thread does that is preempted there.
struct StopsInCopy {
  struct Stop {
    std::latch in_copy{1}, go_on{1};
  };
  int value = 0;
  Stop* stop = nullptr;
  explicit StopsInCopy(int v, Stop* s = nullptr) : value(v), stop(s) {}
  StopsInCopy(const StopsInCopy& other) : value(other.value) {
    if (other.stop == nullptr) return;
    other.stop->in_copy.count_down();
    other.stop->go_on.wait();
  }
  StopsInCopy(StopsInCopy&&) noexcept = default;
};

TEST_CASE("a producer that is preempted in the middle of an append delays nobody else's items",
          "[stream]") {
  const bool through_stream = GENERATE(false, true);
  Kept<StopsInCopy> kept;
  StopsInCopy::Stop stop;
  auto result = AppendResult::closed;
  std::jthread preempted([&] {
    const StopsInCopy item(-1, &stop);
    result = through_stream ? kept.stream.append(item) : kept.stream.producer().append(item);
  });
  stop.in_copy.wait();
  for (int i = 0; i < 1000; ++i) kept.stream.append(StopsInCopy(i));
  kept.executor.run_ready();
  CHECK(kept.items.size() == 1000);
  CHECK(kept.stream.stats().offered >= 1000);  // nor does a look at the stream wait for it
  stop.go_on.count_down();
  preempted.join();
  CHECK(result == AppendResult::accepted);
  kept.executor.run_ready();
  REQUIRE(kept.items.size() == 1001);
  CHECK(kept.items.back().value == -1);
}

// The slot once kept the acknowledgement that was freed with the failed append.
TEST_CASE("an append with an acknowledgement whose copy throws leaves no trace", "[stream]") {
  Kept<ThrowingCopy> kept;
  const ThrowingCopy bad(1, true);
  int told = 0;
  CHECK_THROWS_WITH((void)kept.stream.append(bad, ack), "copy");
  CHECK_THROWS_WITH(kept.stream.append(bad, [&](const std::exception_ptr&) { ++told; }), "copy");
  kept.stream.append(ThrowingCopy(2));
  kept.executor.run_ready();
  CHECK(kept.stream.stats().delivered == 1);
  CHECK(told == 0);
}

TEST_CASE("whatever is not accepted is left untouched with the caller", "[stream]") {
  Stream<std::string> stream({.capacity = 1, .overflow = Overflow::reject});
  stream.append("first");
  std::string mine(100, 'x');
  CHECK(stream.append(std::move(mine)) == AppendResult::full);
  CHECK(stream.try_append(std::move(mine)) == AppendResult::full);
  CHECK(stream.append_for(std::move(mine), 1h) == AppendResult::full);
  CHECK(stream.append(std::move(mine), ack).result() == AppendResult::full);
  stream.close();
  CHECK(stream.append(std::move(mine)) == AppendResult::closed);
  CHECK(stream.try_append(std::move(mine)) == AppendResult::closed);
  CHECK(mine == std::string(100, 'x'));
  CHECK(stream.stats().refused_full == 4);
  CHECK(stream.stats().refused_closed == 2);
}

TEST_CASE("append_for on a full blocking stream answers timeout, also for odd durations",
          "[stream]") {
  Stream<int> stream({.capacity = 1});
  stream.append(1);
  CHECK(stream.append_for(2, 0ns) == AppendResult::timeout);
  CHECK(stream.append_for(2, -1h) == AppendResult::timeout);
  CHECK(stream.append_for(2, std::chrono::hours::min()) == AppendResult::timeout);
  CHECK(stream.append_for(2, std::chrono::duration<double>(-0.5)) == AppendResult::timeout);
  CHECK(stream.try_append(2) == AppendResult::full);
  CHECK(stream.stats().refused_timeout == 4);
  CHECK(stream.stats().refused_full == 1);
}

TEST_CASE("a refused append's acknowledgement says why", "[stream]") {
  Stream<int> stream({.capacity = 1, .overflow = Overflow::reject});
  stream.append(1);
  const auto answer = stream.append(2, ack);
  REQUIRE(answer.ready());
  CHECK_THROWS_AS(answer.get(), AppendError);
}

TEST_CASE("the capacity is exact with one producer, for every capacity", "[stream]") {
  const std::size_t capacity = GENERATE(as<std::size_t>{}, 1, 2, 3, 7, 8, 9, 64, 1000, 1025);
  const bool own_handle = GENERATE(false, true);
  Stream<int> stream({.capacity = capacity, .overflow = Overflow::reject});
  std::optional<Producer<int>> producer;
  if (own_handle) producer.emplace(stream.producer());
  std::size_t accepted = 0;
  while ((own_handle ? producer->append(1) : stream.append(1)) == AppendResult::accepted)
    ++accepted;
  CHECK(accepted == capacity);
  CHECK(stream.stats().pending == capacity);
}

TEST_CASE("room that is settled is room again, exactly", "[stream]") {
  testing::ManualClock clock;
  testing::ManualExecutor executor;
  Stream<int> stream({.capacity = 10, .overflow = Overflow::reject, .clock = clock});
  auto consumer = streaming(stream, CountWindow{4}, [](Window<int>&) {}, {.executor = executor});
  for (int round = 0; round < 20; ++round) {
    while (stream.append(1) == AppendResult::accepted) {
    }
    CHECK(stream.stats().pending + stream.stats().in_flight == 10);
    executor.run_ready();
    CHECK(stream.stats().pending < 4);
  }
}

TEST_CASE("a moved-from stream and a moved-from producer answer `closed`", "[stream]") {
  Stream<int> stream({.name = "moved"});
  auto producer = stream.producer();
  Stream<int> taken = std::move(stream);
  Producer<int> handle = std::move(producer);
  CHECK(taken.append(1) == AppendResult::accepted);
  CHECK(handle.append(2) == AppendResult::accepted);
  CHECK(stream.append(3) == AppendResult::closed);  // NOLINT
  CHECK(stream.append_range(std::vector{1}) == RangeResult{AppendResult::closed, 0});
  CHECK(producer.append(4) == AppendResult::closed);
  CHECK(stream.closed());
  CHECK(stream.capacity() == 0);
  CHECK(stream.name().empty());
  CHECK(stream.stats().offered == 0);
  stream.close();
  CHECK_THROWS_AS((void)stream.producer(), UsageError);
  CHECK_THROWS_AS((void)streaming(stream, CountWindow{1}, [](Window<int>&) {}), UsageError);
  CHECK(taken.name() == "moved");
  CHECK(taken.stats().pending == 2);
}

TEST_CASE("a producer may outlive its stream, and then answers `closed`", "[stream]") {
  std::optional<Stream<int>> stream(std::in_place);
  auto producer = stream->producer();
  CHECK(producer.append(1) == AppendResult::accepted);
  stream.reset();
  CHECK(producer.append(2) == AppendResult::closed);
  CHECK(producer.try_append(2) == AppendResult::closed);
  CHECK(producer.append(2, ack).result() == AppendResult::closed);
}

TEST_CASE("a stream without a consumer drops what is left at its end, and tells", "[stream]") {
  std::optional<Acknowledgement> answer;
  {
    Stream<int> stream;
    answer.emplace(stream.append(1, ack));
  }
  REQUIRE(answer->ready());
  CHECK_THROWS_WITH(answer->get(), ContainsSubstring("unclaimed"));
}
