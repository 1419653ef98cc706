// The scenarios about full streams.

#include <algorithm>

#include "support/rig.hpp"

using namespace microbatch;
using namespace std::chrono_literals;
using test::Rig;
using test::Windows;

TEST_CASE("scenario 4: without a consumer, items expire and are counted", "[scenario]") {
  testing::ManualClock clock;
  Stream<int> stream({.expire_after = 500ms, .clock = clock});
  for (int i = 0; i < 3; ++i) REQUIRE(stream.append(i) == AppendResult::accepted);
  CHECK(stream.stats().pending == 3);
  clock.advance(499ms);
  CHECK(stream.stats().pending == 3);
  clock.advance(501ms);
  const Stats stats = stream.stats();
  CHECK(stats.pending == 0);
  CHECK(stats.dropped(DropCause::expired) == 3);
  CHECK(stats.dropped() == 3);
  CHECK(stats.balances());
}

TEST_CASE("scenario 8: with drop_newest, delivered and dropped are all that was appended",
          "[scenario]") {
  Rig rig({.capacity = 2048, .overflow = Overflow::drop_newest});
  rig.consume(CountWindow{256});
  std::uint64_t accepted = 0;
  std::uint64_t dropped = 0;
  for (int i = 0; i < 4096; ++i) {
    const AppendResult result = rig.stream.append(i);
    accepted += result == AppendResult::accepted ? 1u : 0u;
    dropped += result == AppendResult::dropped ? 1u : 0u;
  }
  CHECK(accepted == 2048);
  CHECK(dropped == 2048);
  rig.close();
  const Stats stats = rig.stats();
  CHECK(stats.delivered + stats.dropped() == 4096);
  CHECK(stats.dropped(DropCause::newest) == dropped);
  CHECK(stats.accepted == 4096);
  const auto all = rig.flat();  // the oldest ones are there
  REQUIRE(all.size() == 2048);
  CHECK(all.front() == 0);
  CHECK(all.back() == 2047);
}

TEST_CASE("scenario 20: a callback that appends to its own full stream gets an error, at once",
          "[scenario]") {
  Rig rig({.capacity = 4});
  std::vector<AppendResult> answers;
  rig.consume(CountWindow{4}, [&](Window<int>&) {
    if (answers.empty()) answers.push_back(rig.stream.append(99));
  });
  rig.append(1, 2, 3, 4);
  rig.run();
  CHECK(answers == std::vector{AppendResult::would_deadlock});
  CHECK(rig.stats().refused_would_deadlock == 1);
  CHECK(rig.items() == Windows<>{{1, 2, 3, 4}});
  rig.append(5);  // there is room again
  rig.close();
  CHECK(rig.items() == Windows<>{{1, 2, 3, 4}, {5}});
}

namespace {

std::uint64_t unsettled(const Stats& stats) { return stats.pending + stats.in_flight; }

}  // namespace

TEST_CASE("scenario 24: drop_oldest drops the oldest of two producers, and holds the capacity",
          "[scenario]") {
  Rig rig({.capacity = 100, .overflow = Overflow::drop_oldest, .arrival_stamps = true});
  auto fast = rig.stream.producer();
  auto slow = rig.stream.producer();
  int next = 0;
  const auto append = [&](auto& producer) {
    rig.clock.advance(1us);  // stamps that tell them apart
    CHECK(producer.append(next++) == AppendResult::accepted);
  };
  const auto append_many = [&](int n) {
    for (int i = 0; i < n; ++i) {
      append(i % 10 == 9 ? slow : fast);
      const Stats stats = rig.stream.stats();
      CHECK(unsettled(stats) <= 100);
      CHECK(stats.balances());
    }
  };
  append_many(1000);
  Stats stats = rig.stream.stats();
  CHECK(stats.accepted == 1000);
  CHECK(stats.dropped(DropCause::oldest) == 1000 - stats.pending);
  CHECK(stats.pending > 50);
  const auto left = static_cast<int>(stats.pending);

  // Ten of them are in a window while more is appended: those are safe.
  std::vector<int> in_flight;
  int first_left = 0;
  rig.consume(CountWindow{10}, [&](Window<int>& window) {
    if (!in_flight.empty()) return;
    in_flight.assign(window.begin(), window.end());
    append_many(500);
    const Stats now = rig.stream.stats();
    CHECK(now.in_flight == 10);
    first_left = next - static_cast<int>(now.pending);
  });
  rig.run();
  rig.close();
  const auto all = rig.flat();
  std::vector<int> expected;
  for (int i = 0; i < 10; ++i) expected.push_back(1000 - left + i);
  CHECK(in_flight == expected);
  for (int i = first_left; i < next; ++i) expected.push_back(i);
  CHECK(all == expected);
  stats = rig.stats();
  CHECK(stats.accepted == 1500);
  CHECK(stats.delivered == all.size());
  CHECK(stats.dropped(DropCause::oldest) == 1500 - all.size());
}
