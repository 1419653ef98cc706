// The scenarios about callbacks that fail.

#include <algorithm>
#include <map>
#include <stdexcept>

#include "support/rig.hpp"

using namespace microbatch;
using namespace std::chrono_literals;
using test::Rig;
using test::Times;
using test::Windows;

TEST_CASE("scenario 3: after a callback that throws, the same items come again as attempt 2",
          "[scenario]") {
  Rig rig;
  int failures = 1;
  rig.consume(RelaxedTimeWindow{1s},
              [&](Window<int>&) {
                if (failures-- > 0) throw std::runtime_error("once");
              },
              {.on_failure = {.first_delay = 100ms, .jitter = 0}});
  rig.append(1, 2, 3);
  rig.at(1s);
  REQUIRE(rig.calls.size() == 1);
  CHECK(rig.calls[0].attempt == 1);
  CHECK(rig.windows.empty());
  rig.append(4);  // not for this window
  rig.at(1099ms);
  CHECK(rig.calls.size() == 1);
  rig.at(1100ms);
  REQUIRE(rig.calls.size() == 2);
  CHECK(rig.calls[1].attempt == 2);
  CHECK(rig.calls[1].items == rig.calls[0].items);
  CHECK(rig.calls[1].sequence == rig.calls[0].sequence);
  CHECK(rig.stats().retries == 1);
  rig.close();
  CHECK(rig.items() == Windows<>{{1, 2, 3}, {4}});
}

TEST_CASE("scenario 3: a remainder of one stays pending until flush or close", "[scenario]") {
  Rig rig;
  rig.consume(CountWindow{2});
  rig.append(1, 2, 3);
  rig.pass_until(60s, 1s);
  CHECK(rig.items() == Windows<>{{1, 2}});
  CHECK(rig.stats().pending == 1);
  SECTION("flush") { rig.consumer->flush(); }
  SECTION("close") { rig.close(); }
  CHECK(rig.items() == Windows<>{{1, 2}, {3}});
}

namespace {

struct Minute {
  Rig<> rig{{}, 4};
  explicit Minute(Order order, bool success_before) {
    rig.consume(any_of(CountWindow{10}, MaxAgeWindow{1s}),
                [this, success_before](Window<int>&) {
                  const bool down = rig.now() < 70s && (!success_before || rig.now() >= 10s);
                  if (down) throw std::runtime_error("database down");
                },
                {.max_in_flight = order == Order::sequential ? 1u : 4u, .order = order});
    for (int second = 0; second < 90; ++second) {
      rig.append_numbers(second * 20, 20);
      rig.pass_until((second + 1) * 1s, 50ms);
    }
    rig.pass_until(300s, 50ms);
  }
};

}  // namespace

TEST_CASE("scenario 23: a database that is down for a minute makes no dead letters", "[scenario]") {
  const Order order = GENERATE(Order::sequential, Order::committed_in_order, Order::unordered);
  const bool success_before = GENERATE(true, false);
  CAPTURE(static_cast<int>(order), success_before);
  Minute minute(order, success_before);
  auto& rig = minute.rig;
  CHECK(rig.stats().dead_lettered == 0);
  CHECK(rig.stats().delivered == 1800);
  CHECK(rig.stats().pending == 0);
  CHECK(rig.stats().retries > 0);
  auto all = rig.flat();
  std::sort(all.begin(), all.end());
  CHECK(std::adjacent_find(all.begin(), all.end()) == all.end());
  CHECK(all.size() == 1800);
  // Backing off up to 30 s, a window costs the database a few calls a minute.
  std::map<std::uint64_t, int> failed;  // by window
  for (const auto& call : rig.calls)
    if (call.at < 70s && (!success_before || call.at >= 10s)) ++failed[call.sequence];
  for (const auto& [sequence, calls] : failed) CHECK(calls <= 14);
  rig.close();
}

TEST_CASE("scenario 23: one poison item among eight: seven delivered, one dead, at most 7 calls",
          "[scenario]") {
  const int bad = GENERATE(range(0, 8));
  CAPTURE(bad);
  Rig rig;
  std::vector<DeadLetter<int>> dead;
  rig.consume(CountWindow{8},
              [&](Window<int>& window) {
                if (std::find(window.begin(), window.end(), bad) != window.end())
                  throw std::runtime_error("cannot parse");
              },
              {.dead_letters = [&](DeadLetter<int>& letter) { dead.push_back(letter); },
               .on_failure = {.max_attempts = 1}});
  rig.append_numbers(100, 8);  // the recent success
  rig.run();
  const std::size_t before = rig.calls.size();
  REQUIRE(before == 1);

  rig.append_numbers(0, 8);
  rig.pass_until(60s, 100ms);
  CHECK(rig.calls.size() - before <= 7);
  CHECK(rig.stats().delivered == 8 + 7);
  REQUIRE(dead.size() == 1);
  CHECK(dead[0].item == bad);
  CHECK(dead[0].error == "cannot parse");
  CHECK(dead[0].sequence == 1);
  CHECK(dead[0].attempts == 4);  // in the window, its half, its quarter, alone

  auto delivered = rig.flat();
  std::sort(delivered.begin(), delivered.end());
  std::vector<int> expected;
  for (int i = 0; i < 8; ++i)
    if (i != bad) expected.push_back(i);
  for (int i = 100; i < 108; ++i) expected.push_back(i);
  CHECK(delivered == expected);
  rig.close();
}
