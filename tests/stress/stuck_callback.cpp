// A callback that does not return, against everything that could wait for it.
//
// Allowed:   close(timeout) reports the timeout; what is inside the stuck callback is abandoned.
// Forbidden: a call with a timeout that returns late; an item that is neither delivered, handed
// back
//            nor abandoned; storage freed under the stuck callback; another stream on the same pool
//            that stands still while a worker is free; a late return that changes a count.

#include "support/catch.hpp"
#include "support/stress.hpp"

#include <microbatch/microbatch.hpp>

#include <atomic>
#include <latch>
#include <memory>
#include <numeric>
#include <semaphore>

using namespace microbatch;
using namespace std::chrono_literals;

namespace {

/// What stays alive until the last stuck callback has returned.
struct Gate {
  std::atomic<int> inside{0};
  std::atomic<int> left{0};
  std::atomic<bool> open{false};
  std::atomic<std::uint64_t> read_later{0};

  void pass() {
    ++inside;
    while (!open) std::this_thread::sleep_for(100us);
  }
  void wait_for(int n) const {
    while (inside < n) std::this_thread::yield();
  }
  void open_and_wait() {
    open = true;
    while (left < inside) std::this_thread::yield();
  }
};

}  // namespace

TEST_CASE("close(timeout) honours its deadline with a stuck callback", "[stress]") {
  const Order order = GENERATE(Order::sequential, Order::committed_in_order, Order::unordered);
  const bool on_a_pool = GENERATE(false, true);
  CAPTURE(static_cast<int>(order), on_a_pool);
  auto gate = std::make_shared<Gate>();
  auto pool = std::make_unique<ThreadPool>(2);
  Stats stats;
  std::uint64_t handed_back = 0;
  {
    Stream<std::unique_ptr<int>> stream({.capacity = 64});
    ConsumerOptions<std::unique_ptr<int>> options{.order = order};
    if (on_a_pool) options.executor = *pool;
    auto consumer = streaming(
        stream, CountWindow{4},
        [gate](Window<std::unique_ptr<int>>& window) {
          gate->pass();
          // Its storage lives, although the consumer and the stream are gone.
          for (auto& item : window) gate->read_later += static_cast<std::uint64_t>(*item);
          ++gate->left;
        },
        options);
    for (int i = 0; i < 30; ++i) (void)stream.append(std::make_unique<int>(1));
    gate->wait_for(1);
    const auto begin = std::chrono::steady_clock::now();
    const auto result = consumer.close(50ms);
    const auto took = std::chrono::steady_clock::now() - begin;
    CHECK(result.timed_out);
    CHECK(took >= 50ms);
    CHECK(took < 5s);  // the bound of a machine that is busy, not of the library
    CHECK(result.delivered == 0);
    CHECK(result.abandoned == 4 * static_cast<std::uint64_t>(gate->inside.load()));
    CHECK(result.abandoned + result.handed_back.size() == 30);
    for (const auto& item : result.handed_back) CHECK(*item == 1);
    handed_back = result.handed_back.size();
    stats = consumer.stats();
    CHECK(stats.balances());
    CHECK(stats.pending + stats.in_flight == 0);
    const auto again = consumer.close();
    CHECK(again.abandoned == result.abandoned);
    gate->open_and_wait();
    CHECK(consumer.stats().delivered == 0);  // its late return changes nothing
    CHECK(consumer.stats().abandoned == result.abandoned);
  }
  CHECK(gate->read_later == 30 - handed_back);
}

TEST_CASE("the consumer and its stream may be gone when a stuck callback returns", "[stress]") {
  for (std::size_t round = 0; round < stress::scaled(20); ++round) {
    auto gate = std::make_shared<Gate>();
    {
      Stream<std::string> stream;
      auto consumer = streaming(stream, CountWindow{1}, [gate](Window<std::string>& window) {
        gate->pass();
        gate->read_later += window[0].size();
        ++gate->left;
      });
      (void)stream.append(std::string(100, 'x'));
      gate->wait_for(1);
      const auto result = round % 2 == 0 ? consumer.stop() : consumer.close(1ms);
      CHECK(result.abandoned == 1);
    }
    gate->open_and_wait();
    CHECK(gate->read_later == 100);
  }
}

TEST_CASE("other streams go on while one callback is stuck and a worker is free", "[stress]") {
  Gate gate;
  ThreadPool pool(2);
  Stream<int> stuck_stream;
  auto stuck = streaming(stuck_stream, CountWindow{1},
                         [&](Window<int>&) {
                           gate.pass();
                           ++gate.left;
                         },
                         {.executor = pool});
  (void)stuck_stream.append(1);
  gate.wait_for(1);
  for (std::size_t round = 0; round < stress::scaled(10); ++round) {
    std::atomic<std::uint64_t> delivered{0};
    Stream<int> stream({.capacity = 64});
    auto consumer =
        streaming(stream, any_of(CountWindow{16}, MaxAgeWindow{1ms}),
                  [&](Window<int>& window) { delivered += window.size(); }, {.executor = pool});
    const stress::Threads threads(3, [&](std::uint32_t) {
      for (int i = 0; i < 200; ++i) (void)stream.append(i);
    });
    CHECK(consumer.flush(20s));
  }
  CHECK_FALSE(stuck.flush(1ms));
  CHECK(gate.left == 0);
  gate.open_and_wait();
  CHECK(stuck.close().delivered == 1);
}

TEST_CASE("append_for returns in time on a full stream whose callback is stuck", "[stress]") {
  Gate gate;
  Stream<int> stream({.capacity = 8});
  auto consumer = streaming(stream, CountWindow{4}, [&](Window<int>&) {
    gate.pass();
    ++gate.left;
  });
  for (int i = 0; i < 8; ++i) REQUIRE(stream.append(i) == AppendResult::accepted);
  gate.wait_for(1);
  std::atomic<int> timeouts{0};
  {
    const stress::Threads threads(4, [&](std::uint32_t) {
      if (stream.append_for(9, 20ms) == AppendResult::timeout) ++timeouts;
    });
  }
  CHECK(timeouts == 4);
  CHECK(stream.stats().refused_timeout == 4);
  gate.open_and_wait();
  CHECK(consumer.close().delivered == 8);
}
