// Memory, counted and refused by operators new of our own: the steady state allocates nothing, and
// an allocation that fails is a std::bad_alloc that loses nothing.

#include "support/catch.hpp"
#include "support/failing_new.hpp"

#include <microbatch/microbatch.hpp>
#include <microbatch/testing/manual_clock.hpp>

#include <atomic>
#include <cstdlib>
#include <new>
#include <optional>
#include <set>
#include <thread>
#include <vector>

using namespace microbatch;
using namespace std::chrono_literals;

namespace {

/// How much the second half of the items allocates, once the first half has warmed everything.
template <class E>
std::uint64_t allocated_over_a_pool(E emitter, StreamOptions<std::uint64_t> options) {
  std::atomic<std::uint64_t> delivered{0};
  ThreadPool pool(2);
  Stream<std::uint64_t> stream(options);
  auto consumer = streaming(stream, std::move(emitter),
                            [&](Window<std::uint64_t>& window) { delivered += window.size(); },
                            {.executor = pool, .histograms = true});
  auto producer = stream.producer();
  const auto pass = [&](std::uint64_t n) {
    const std::uint64_t until = delivered + n;
    for (std::uint64_t i = 0; i < n; ++i)
      if (producer.append(i % 7) != AppendResult::accepted) FAIL("an append was refused");
    consumer.flush();
    REQUIRE(delivered == until);
  };
  for (int i = 0; i < 20; ++i) pass(20'000);
  const std::uint64_t before = allocations;
  for (int i = 0; i < 10; ++i) pass(20'000);
  return allocations - before;
}

template <class E>
std::uint64_t allocated_in_steps(E emitter, StreamOptions<std::uint64_t> options) {
  testing::ManualClock clock;
  options.clock = clock;
  std::uint64_t delivered = 0;
  Stream<std::uint64_t> stream(options);
  Engine<std::uint64_t> engine(stream, std::move(emitter),
                               [&](Window<std::uint64_t>& window) { delivered += window.size(); },
                               {.histograms = true});
  const auto pass = [&] {
    for (std::uint64_t i = 0; i < 900; ++i) (void)stream.append(i % 7);
    (void)engine.step(clock.now());
    clock.advance(2s);
    (void)engine.step(clock.now());
    engine.flush();
    (void)engine.step(clock.now());
  };
  for (int i = 0; i < 300; ++i) pass();
  const std::uint64_t before = allocations;
  for (int i = 0; i < 100; ++i) pass();
  const std::uint64_t after = allocations;
  CHECK(delivered == 400 * 900);
  return after - before;
}

const StreamOptions<std::uint64_t> plain{.capacity = 1024};
const StreamOptions<std::uint64_t> weighing{
    .capacity = 1024, .max_bytes = 100'000, .weight = [](const std::uint64_t& n) { return n; }};

}  // namespace

// Buffers grow while the longest queue grows, which scheduling decides: a handful in 200'000 items.
// One for each window would be over 2'000.
constexpr std::uint64_t handful = 64;

TEST_CASE("the steady state over a thread pool allocates nothing per item or window",
          "[allocation]") {
  CHECK(allocated_over_a_pool(CountWindow{64}, plain) <= handful);
  CHECK(allocated_over_a_pool(any_of(CountWindow{64}, MaxAgeWindow{50ms}), plain) <= handful);
  CHECK(allocated_over_a_pool(WeightWindow(200, [](const std::uint64_t& n) { return n; }), plain) <=
        handful);
  CHECK(allocated_over_a_pool(CountWindow{64}, weighing) <= handful);
}

TEST_CASE("the steady state over Engine::step allocates nothing at all", "[allocation]") {
  CHECK(allocated_in_steps(CountWindow{64}, plain) == 0);
  CHECK(allocated_in_steps(any_of(CountWindow{64}, MaxAgeWindow{1s}), plain) == 0);
  CHECK(allocated_in_steps(WeightWindow(200, [](const std::uint64_t& n) { return n; }), plain) ==
        0);
  CHECK(allocated_in_steps(RelaxedTimeWindow{1s}, plain) == 0);
  CHECK(allocated_in_steps(FixedTimeWindow{1s}, plain) == 0);
  CHECK(allocated_in_steps(PeriodWindow{1s}, plain) == 0);
  CHECK(allocated_in_steps(CountWindow{64}, weighing) == 0);
}

// What a program pays for each of its thousands of streams. stress/idle measures the same with ten
// thousand of them and mallinfo2, which counts the C library's own bytes, too.
TEST_CASE("an idle stream with its consumer takes less than 4 KiB", "[allocation]") {
  constexpr std::size_t n = 64;
  ThreadPool pool(2);
  std::vector<Stream<int>> streams;
  std::vector<Consumer<int>> consumers;
  streams.reserve(n);
  consumers.reserve(n);
  const std::size_t before = live_bytes;
  for (std::size_t i = 0; i < n; ++i) streams.emplace_back(StreamOptions<int>{.capacity = 1024});
  const std::size_t with_streams = live_bytes;
  for (auto& stream : streams)
    consumers.push_back(streaming(stream, any_of(CountWindow{100}, MaxAgeWindow{1ms}),
                                  [&](Window<int>&) {}, {.executor = pool, .histograms = true}));
  for (auto& consumer : consumers) consumer.flush();  // each has had its turn
  const std::size_t stream = (with_streams - before) / n;
  const std::size_t consumer = (live_bytes - with_streams) / n;
  CAPTURE(stream, consumer);
  CHECK(stream <= 2100);
  CHECK(consumer <= 1800);
}

namespace {

/// Construction, appends in several forms and steps, where the n-th allocation fails. Every item
/// that was accepted must come out once, when memory is back. Returns whether an allocation failed.
bool one_failure(std::int64_t n) {
  std::set<int> delivered;
  std::uint64_t doubled = 0;
  std::set<int> accepted;
  std::optional<testing::ManualClock> clock(std::in_place);
  std::optional<Stream<int>> stream;
  std::optional<Producer<int>> producer;
  std::optional<Engine<int>> engine;
  bool failed = false;
  const auto attempt = [&](auto&& f) {
    try {
      f();
    } catch (const std::bad_alloc&) {
      failed = true;
    }
  };
  fail_at = n;
  attempt([&] { stream.emplace(StreamOptions<int>{.capacity = 64, .clock = *clock}); });
  if (stream) {
    attempt([&] { producer.emplace(stream->producer()); });
    attempt([&] {
      engine.emplace(*stream, CountWindow{5}, [&](Window<int>& window) {
        const std::int64_t rest = fail_at.exchange(0);  // a callback's own failure is another test
        for (const int item : window)
          if (!delivered.insert(item).second) ++doubled;
        fail_at = rest;
      });
    });
    for (int i = 0; i < 40; ++i) {
      attempt([&] {
        AppendResult result{};
        if (i % 4 == 0 && producer) {
          result = producer->append(i);
        } else if (i % 4 == 1) {
          const auto acknowledged = stream->append(i, ack);
          result = acknowledged.result();
        } else {
          result = stream->append(i);
        }
        const std::int64_t rest = fail_at.exchange(0);  // our own books must not fail
        if (result == AppendResult::accepted) accepted.insert(i);
        fail_at = rest;
      });
      if (i % 7 == 6 && engine) attempt([&] { (void)engine->step(clock->now()); });
    }
  }
  fail_at = 0;
  if (stream && !engine) {
    CHECK(stream->stats().balances());
    CHECK(stream->stats().accepted == accepted.size());
    engine.emplace(*stream, CountWindow{5}, [&](Window<int>& window) {
      for (const int item : window)
        if (!delivered.insert(item).second) ++doubled;
    });
  }
  if (engine) {
    engine->close();
    for (int i = 0; i < 100 && !engine->finished(); ++i) {
      (void)engine->step(clock->now());
      clock->advance(10s);
    }
    CHECK(engine->finished());
    CHECK(engine->stats().balances());
    CHECK(engine->stats().accepted == accepted.size());
    CHECK(engine->stats().pending + engine->stats().in_flight == 0);
    CHECK(delivered == accepted);
    CHECK(doubled == 0);
  }
  return failed;
}

}  // namespace

TEST_CASE("whichever allocation fails, nothing is lost and nothing is doubled", "[allocation]") {
  std::int64_t n = 1;
  for (; n < 5000; ++n) {
    CAPTURE(n);
    // A thread of its own, so that the thread's first lane is among what may fail.
    bool failed = false;
    std::thread([&] { failed = one_failure(n); }).join();
    if (!failed && n > 200) break;
  }
  CHECK(n > 20);
}
