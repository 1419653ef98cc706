#include "support/catch.hpp"

#include <microbatch/microbatch.hpp>
#include <microbatch/testing/manual_clock.hpp>
#include <microbatch/testing/manual_executor.hpp>

#include <memory>
#include <vector>

using namespace microbatch;
using namespace std::chrono_literals;

namespace {

struct Rig {
  testing::ManualClock clock;
  testing::ManualExecutor executor;
  Stream<int> stream;
  std::vector<int> seen;
  Consumer<int> consumer;

  explicit Rig(Overflow overflow, std::size_t capacity)
      : stream({.capacity = capacity, .overflow = overflow, .clock = clock}),
        consumer(streaming(
            stream, MaxAgeWindow{1h},
            [this](Window<int>& window) { seen.insert(seen.end(), window.begin(), window.end()); },
            {.executor = executor})) {}
};

}  // namespace

TEST_CASE("drop_newest consumes the item and counts it as accepted and dropped", "[stream]") {
  Stream<std::unique_ptr<int>> stream({.capacity = 2, .overflow = Overflow::drop_newest});
  stream.append(std::make_unique<int>(1));
  stream.append(std::make_unique<int>(2));
  auto third = std::make_unique<int>(3);
  CHECK(stream.append(std::move(third)) == AppendResult::dropped);
  CHECK(third == nullptr);
  CHECK(stream.try_append(std::make_unique<int>(4)) == AppendResult::dropped);
  const Stats stats = stream.stats();
  CHECK(stats.accepted == 4);
  CHECK(stats.dropped(DropCause::newest) == 2);
  CHECK(stats.pending == 2);
  CHECK(stats.balances());
}

TEST_CASE("drop_newest tells the dropped item's acknowledgement at once", "[stream]") {
  Stream<int> stream({.capacity = 1, .overflow = Overflow::drop_newest});
  stream.append(1);
  const auto answer = stream.append(2, ack);
  CHECK(answer.result() == AppendResult::dropped);
  REQUIRE(answer.ready());
  CHECK_THROWS_AS(answer.get(), NotDelivered);
}

TEST_CASE("drop_oldest makes room by the oldest item that is in no window", "[stream]") {
  Rig rig(Overflow::drop_oldest, 4);
  for (int i = 0; i < 10; ++i) CHECK(rig.stream.append(i) == AppendResult::accepted);
  CHECK(rig.stream.stats().dropped(DropCause::oldest) == 6);
  rig.consumer.close();
  CHECK(rig.seen == std::vector{6, 7, 8, 9});
}

TEST_CASE("drop_oldest also drops what was swept already", "[stream]") {
  Rig rig(Overflow::drop_oldest, 4);
  for (int i = 0; i < 4; ++i) rig.stream.append(i);
  rig.executor.run_ready();
  for (int i = 4; i < 6; ++i) CHECK(rig.stream.append(i) == AppendResult::accepted);
  rig.consumer.close();
  CHECK(rig.seen == std::vector{2, 3, 4, 5});
}

// The acknowledgement once waited for the engine's next turn, here an hour.
TEST_CASE("drop_oldest tells the dropped item's acknowledgement at once", "[stream]") {
  Rig rig(Overflow::drop_oldest, 4);
  const auto first = rig.stream.append(0, ack);
  for (int i = 1; i < 4; ++i) rig.stream.append(i);
  rig.executor.run_ready();
  REQUIRE_FALSE(first.ready());
  rig.stream.append(4);
  rig.executor.run_ready();
  REQUIRE(first.ready());
  CHECK_THROWS_WITH(first.get(), ContainsSubstring("oldest"));
}

TEST_CASE("drop_oldest with nothing droppable answers full", "[stream]") {
  testing::ManualClock clock;
  testing::ManualExecutor executor;
  Stream<int> stream({.capacity = 2, .overflow = Overflow::drop_oldest, .clock = clock});
  auto consumer = streaming(stream, CountWindow{2}, [](Window<int>&) {}, {.executor = executor});
  stream.append(1);
  stream.append(2);
  REQUIRE(executor.step());  // a turn: both are in a window now, whose callback has not begun
  REQUIRE(stream.stats().in_flight == 2);
  std::vector<int> item{3};
  CHECK(stream.append(3) == AppendResult::full);
  CHECK(stream.stats().refused_full == 1);
  executor.run_ready();
  CHECK(stream.append(3) == AppendResult::accepted);
}

TEST_CASE("reject answers full and counts it", "[stream]") {
  Rig rig(Overflow::reject, 2);
  CHECK(rig.stream.append(1) == AppendResult::accepted);
  CHECK(rig.stream.append(2) == AppendResult::accepted);
  CHECK(rig.stream.append(3) == AppendResult::full);
  const Stats stats = rig.stream.stats();
  CHECK(stats.offered == 3);
  CHECK(stats.accepted == 2);
  CHECK(stats.refused_full == 1);
}
