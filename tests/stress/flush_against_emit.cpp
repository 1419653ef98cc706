// Flushes from several threads while producers append and windows leave by count.
//
// Allowed:   a flush takes windows that left for another reason along; windows of any size up to
//            the count.
// Forbidden: a flush that returns before what its own thread had appended is settled; a flush that
//            hangs; a window larger than the count; an item lost, doubled or out of order.

#include "support/catch.hpp"
#include "support/ledger_checker.hpp"
#include "support/stress.hpp"

#include <microbatch/microbatch.hpp>

#include <atomic>

using namespace microbatch;
using namespace std::chrono_literals;
using ledger::Entry;

TEST_CASE("a flush covers what its own thread appended before it", "[stress]") {
  const Order order = GENERATE(Order::sequential, Order::committed_in_order, Order::unordered);
  const std::size_t capacity = GENERATE(as<std::size_t>{}, 8, 1000);
  CAPTURE(static_cast<int>(order), capacity);
  constexpr std::size_t producers = 4;
  const std::uint64_t rounds = stress::scaled(60);

  ledger::Recorder recorder;
  std::array<std::atomic<std::uint64_t>, producers> seen{};
  std::atomic<int> too_early{0};
  std::atomic<int> too_late{0};
  ThreadPool pool(order == Order::sequential ? 1 : 2);
  Stream<Entry> stream({.capacity = capacity});
  auto consumer = streaming(stream, CountWindow{7},
                            [&](Window<Entry>& window) {
                              const auto call = recorder.begin(window);
                              for (const Entry& item : window) ++seen[item.producer];
                              recorder.succeeded(call);
                            },
                            {.executor = pool, .order = order});
  {
    const stress::Threads threads(producers, [&](std::uint32_t me) {
      std::uint64_t s = 0;
      for (std::uint64_t r = 0; r < rounds; ++r) {
        for (std::uint64_t i = 0; i < 1 + r % 13; ++i) (void)stream.append(Entry::make(me, s++));
        if (r % 3 == 0) {
          consumer.flush();
        } else if (!consumer.flush(20s)) {
          ++too_late;
        }
        if (seen[me] < s) ++too_early;
      }
    });
  }
  consumer.close();
  std::uint64_t each = 0;
  for (std::uint64_t r = 0; r < rounds; ++r) each += 1 + r % 13;
  recorder.accepted(std::vector<std::uint64_t>(producers, each));
  CHECK(too_early == 0);
  CHECK(too_late == 0);
  CHECK(ledger::check(recorder.record(),
                      {.calls_in_order = order == Order::sequential, .count = 7, .at_most = 7},
                      consumer.stats()) == "");
}

TEST_CASE("a flush ends when the consumer is closed or stopped meanwhile", "[stress]") {
  for (std::size_t round = 0; round < stress::scaled(40); ++round) {
    Stream<int> stream;
    auto consumer = streaming(stream, CountWindow{5}, [](Window<int>&) {});
    const stress::Threads threads(3, [&](std::uint32_t me) {
      for (int i = 0; i < 20; ++i) (void)stream.append(i);
      if (me == 0)
        (void)consumer.close();
      else if (me == 1 && round % 2 == 0)
        (void)consumer.stop();
      else
        consumer.flush();
    });
  }
  SUCCEED("all of them returned");
}

TEST_CASE("limits that are changed while items pass hold for later windows", "[stress]") {
  CountWindow count{64};
  Stream<int> stream({.capacity = 1000});
  std::atomic<std::size_t> most{0};
  std::atomic<std::uint64_t> delivered{0};
  auto consumer = streaming(stream, CountWindow(count), [&](Window<int>& window) {
    most = std::max(most.load(), window.size());
    delivered += window.size();
  });
  const std::size_t n = stress::scaled(20'000);
  std::jthread tuner([&](std::stop_token stop) {
    for (std::size_t i = 0; !stop.stop_requested(); ++i) {
      count.set_size(1 + i % 64);
      std::this_thread::yield();
    }
  });
  for (std::size_t i = 0; i < n; ++i) (void)stream.append(1);
  tuner.request_stop();
  tuner.join();
  count.set_size(3);
  consumer.flush();
  most = 0;
  for (std::size_t i = 0; i < 90; ++i) (void)stream.append(1);
  consumer.flush();
  CHECK(most <= 3);
  consumer.close();
  CHECK(delivered == n + 90);
}
