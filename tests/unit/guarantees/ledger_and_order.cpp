// That nothing is lost silently, and in which order it comes.

#include <map>
#include <stdexcept>

#include "support/rig.hpp"

using namespace microbatch;
using namespace std::chrono_literals;
using test::Rig;

TEST_CASE("guarantee 1: every item that was offered has one end, and the ledger names it",
          "[guarantee]") {
  std::map<int, int> ends;
  Rig rig({.capacity = 8,
           .max_bytes = 100,
           .weight = [](int item) { return item == 999 ? 101 : 1; },
           .overflow = Overflow::reject,
           .expire_after = 10s});
  // A window ends with 4, 8 or 14: what stands behind them is swept and stays.
  rig.consume(PredicateWindow{[](int item) { return item == 4 || item == 8 || item == 14; }},
              [](Window<int>& window) {
                if (window[0] == 11) throw TransientError("down");
                for (std::size_t i = 0; i < window.size(); ++i) {
                  if (window[i] == 2) throw std::runtime_error("poison");
                  if (window[i] != 5) continue;
                  window.reject(i, "refused");
                  window.reject(i, "refused again");  // is one end, all the same
                }
              },
              {.on_failure = {.max_attempts = 1, .isolate = Isolate::always}});
  const auto offer = [&](int item) {
    return rig.stream.append(item, [&, item](const std::exception_ptr&) { ++ends[item]; });
  };
  const auto accept = [&](int from, int to) {
    for (int i = from; i <= to; ++i) CHECK(offer(i) == AppendResult::accepted);
    CHECK(rig.stats().balances());
  };

  accept(1, 4);  // 2 dies alone
  rig.run();
  accept(5, 8);  // 5 is refused
  rig.run();
  accept(9, 10);
  rig.at(10s - 1ns);
  CHECK(rig.stats().pending == 2);
  rig.at(10s);  // they have waited for too long
  CHECK(rig.stats().pending == 0);
  accept(11, 16);  // the first four fail, the others wait behind them
  rig.run();
  accept(17, 18);
  CHECK(offer(19) == AppendResult::full);
  CHECK(offer(999) == AppendResult::too_large);
  CHECK(rig.stats().in_flight == 4);
  CHECK(rig.stats().pending == 4);
  CHECK(rig.stats().bytes == 8);
  const auto result = rig.stop();
  CHECK(offer(20) == AppendResult::closed);

  CHECK(result.handed_back == std::vector{11, 12, 13, 14, 15, 16, 17, 18});
  const Stats stats = rig.stats();
  CHECK(stats.offered == 21);
  CHECK(stats.accepted == 18);
  CHECK(stats.refused_full == 1);
  CHECK(stats.refused_too_large == 1);
  CHECK(stats.refused_closed == 1);
  CHECK(stats.delivered == 6);
  CHECK(stats.dead_lettered == 2);
  CHECK(stats.dropped(DropCause::expired) == 2);
  CHECK(stats.handed_back == 8);
  CHECK(stats.settled() == 18);
  CHECK(stats.bytes == 0);
  CHECK(stats.balances());
  CHECK(ends.size() == 18);
  for (const auto& [item, times] : ends) {
    CAPTURE(item);
    CHECK(item <= 18);
    CHECK(times == 1);
  }
}

TEST_CASE("guarantee 2: windows keep each producer's order, and with stamps that of arrival",
          "[guarantee]") {
  const bool stamped = GENERATE(false, true);
  CAPTURE(stamped);
  struct Item {
    int producer;
    int number;   // of its producer
    int arrival;  // of all
  };
  Rig<Item> rig({.arrival_stamps = stamped});
  int calls = 0;
  // Everything is swept, and a part of it leaves.
  rig.consume(PredicateWindow{[](const Item& item) { return item.arrival % 7 == 6; }},
              [&](Window<Item>&) {
                if (++calls % 4 == 0) throw TransientError("every fourth call fails");
              });
  Producer<Item> producers[] = {rig.stream.producer(), rig.stream.producer()};
  int appended[] = {0, 0};
  for (int i = 0; i < 200; ++i) {
    const int p = i % 5 < 2 || i % 31 > 20 ? 0 : 1;
    rig.clock.advance(1us);
    REQUIRE(producers[p].append(Item{p, appended[p]++, i}) == AppendResult::accepted);
    if (i % 23 == 0) rig.pass_until(rig.now() + 1s, 100ms);
  }
  rig.pass_until(rig.now() + 60s, 100ms);
  rig.close();

  const auto all = rig.flat();
  REQUIRE(all.size() == 200);
  int next[] = {0, 0};
  int arrival = 0;
  for (const Item& item : all) {
    CHECK(item.number == next[item.producer]++);
    if (stamped) CHECK(item.arrival == arrival++);
  }
}
