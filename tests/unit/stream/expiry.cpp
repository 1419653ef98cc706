#include "support/catch.hpp"

#include <microbatch/microbatch.hpp>
#include <microbatch/testing/manual_clock.hpp>
#include <microbatch/testing/manual_executor.hpp>

#include <vector>

using namespace microbatch;
using namespace std::chrono_literals;

TEST_CASE("without a consumer, stats() expires what is overdue", "[stream]") {
  testing::ManualClock clock;
  Stream<int> stream({.expire_after = 500ms, .clock = clock});
  const auto answer = stream.append(0, ack);
  for (int i = 1; i < 3; ++i) stream.append(i);
  CHECK(stream.stats().pending == 3);
  clock.advance(499ms);
  CHECK(stream.stats().pending == 3);
  clock.advance(1ms);
  CHECK(stream.stats().pending == 0);
  CHECK(stream.stats().dropped(DropCause::expired) == 3);
  REQUIRE(answer.ready());
  CHECK_THROWS_WITH(answer.get(), ContainsSubstring("expired"));
}

TEST_CASE("without a consumer, an append to a full stream expires what is overdue", "[stream]") {
  const Overflow overflow =
      GENERATE(Overflow::block, Overflow::reject, Overflow::drop_newest, Overflow::drop_oldest);
  testing::ManualClock clock;
  Stream<int> stream({.capacity = 2, .overflow = overflow, .expire_after = 1s, .clock = clock});
  stream.append(1);
  clock.advance(1ms);
  stream.append(2);
  clock.advance(999ms);
  CHECK(stream.append(3) == AppendResult::accepted);
  const Stats stats = stream.stats();
  CHECK(stats.dropped(DropCause::expired) == 1);
  CHECK(stats.dropped() == 1);
  CHECK(stats.pending == 2);
}

// The append once woke itself for ever.
TEST_CASE("append_for times out on a full stream where nothing is overdue", "[stream]") {
  testing::ManualClock clock;
  Stream<int> stream({.capacity = 1, .expire_after = 3s, .clock = clock});
  stream.append(1);
  CHECK(stream.append_for(2, 0ns) == AppendResult::timeout);
}

TEST_CASE("with a consumer, an item that is in no window by then is dropped", "[stream]") {
  testing::ManualClock clock;
  testing::ManualExecutor executor;
  std::vector<int> seen;
  Stream<int> stream({.expire_after = 2s, .clock = clock});
  auto consumer =
      streaming(stream, CountWindow{3},
                [&](Window<int>& window) { seen.insert(seen.end(), window.begin(), window.end()); },
                {.executor = executor});
  stream.append(1);
  clock.advance(1s);
  stream.append(2);
  executor.run_ready();
  clock.advance(1s);
  executor.run_ready();
  CHECK(stream.stats().dropped(DropCause::expired) == 1);
  stream.append(3);
  stream.append(4);
  executor.run_ready();
  CHECK(seen == std::vector{2, 3, 4});
  CHECK(stream.stats().balances());
}

TEST_CASE("an item in a window does not expire, however long its retries take", "[stream]") {
  testing::ManualClock clock;
  testing::ManualExecutor executor;
  int calls = 0;
  Stream<int> stream({.expire_after = 1s, .clock = clock});
  auto consumer = streaming(stream, CountWindow{1},
                            [&](Window<int>&) {
                              if (++calls < 3) throw TransientError("down");
                            },
                            {.executor = executor});
  stream.append(1);
  for (int i = 0; i < 10; ++i) {
    executor.run_ready();
    clock.advance(40s);
  }
  CHECK(stream.stats().delivered == 1);
  CHECK(stream.stats().dropped() == 0);
}
