// Streams of capacity 1, 2 and 8 under producers that block, drop or are refused.
//
// Allowed:   windows smaller than the emitter wants, with reason `capacity`; `full` early by at
// most
//            a chunk for each live lane.
// Forbidden: a producer that blocks for ever; more accepted and unsettled items than the capacity;
//            a drop that is not counted; an item lost or out of its producer's order.

#include "support/catch.hpp"
#include "support/ledger_checker.hpp"
#include "support/stress.hpp"

#include <microbatch/microbatch.hpp>

#include <atomic>
#include <optional>

using namespace microbatch;
using namespace std::chrono_literals;
using ledger::Entry;

namespace {

enum class Kind { count, age, both, period, relaxed, fixed, weight, never_ready };

struct NeverReady {
  template <class T>
  Readiness window_ready(Pending<T>&, TimePoint) {
    return {};
  }
};

template <class C>
Consumer<Entry> start(Stream<Entry>& stream, Kind kind, std::size_t capacity, C callback,
                      ConsumerOptions<> options) {
  switch (kind) {
    case Kind::count:
      return streaming(stream, CountWindow{capacity}, callback, options);
    case Kind::age:
      return streaming(stream, MaxAgeWindow{1h}, callback, options);
    case Kind::both:
      return streaming(stream, any_of(CountWindow{1}, MaxAgeWindow{1h}), callback, options);
    case Kind::period:
      return streaming(stream, PeriodWindow{1h}, callback, options);
    case Kind::relaxed:
      return streaming(stream, RelaxedTimeWindow{1h}, callback, options);
    case Kind::fixed:
      return streaming(stream, FixedTimeWindow{1ms}, callback, options);
    case Kind::weight:
      return streaming(stream, WeightWindow(1000, [](const Entry&) { return 1; }), callback,
                       options);
    case Kind::never_ready:
      return streaming(stream, NeverReady{}, callback, options);
  }
  throw std::logic_error("no such kind");
}

}  // namespace

TEST_CASE("producers that block on a tiny stream get through with any emitter", "[stress]") {
  const std::size_t capacity = GENERATE(as<std::size_t>{}, 1, 2, 8);
  const Kind kind = GENERATE(Kind::count, Kind::age, Kind::both, Kind::period, Kind::relaxed,
                             Kind::fixed, Kind::weight, Kind::never_ready);
  const std::size_t producers = GENERATE(as<std::size_t>{}, 2, 5);
  CAPTURE(capacity, static_cast<int>(kind), producers);
  const std::uint64_t each = stress::scaled(kind == Kind::fixed ? 20 : 120);
  ledger::Recorder recorder;
  std::atomic<std::uint64_t> over{0};
  std::optional<Consumer<Entry>> consumer;
  Stream<Entry> stream({.capacity = capacity});
  consumer.emplace(start(stream, kind, capacity,
                         [&](Window<Entry>& window) {
                           if (window.size() > capacity) ++over;
                           recorder.succeeded(recorder.begin(window));
                         },
                         {}));
  std::atomic<bool> running{true};
  std::jthread watcher([&] {
    while (running) {
      const Stats stats = stream.stats();
      if (stats.pending + stats.in_flight > capacity) ++over;
      std::this_thread::yield();
    }
  });
  // `full` is an answer, too: at that moment no window could make room. Try again, then.
  {
    const stress::Threads threads(producers, [&](std::uint32_t me) {
      for (std::uint64_t s = 0; s < each; ++s)
        while (stream.append(Entry::make(me, s)) != AppendResult::accepted)
          std::this_thread::yield();
    });
  }
  running = false;
  watcher.join();
  consumer->close();
  recorder.accepted(std::vector<std::uint64_t>(producers, each));
  CHECK(over == 0);
  CHECK(ledger::check(recorder.record(), {.at_most = capacity}, consumer->stats()) == "");
}

TEST_CASE("drop_oldest and drop_newest count every drop under contention", "[stress]") {
  const Overflow overflow = GENERATE(Overflow::drop_oldest, Overflow::drop_newest);
  const std::size_t capacity = GENERATE(as<std::size_t>{}, 1, 2, 8, 100);
  const bool stamps = GENERATE(false, true);
  CAPTURE(static_cast<int>(overflow), capacity, stamps);
  constexpr std::size_t producers = 4;
  const std::uint64_t each = stress::scaled(1500);
  ledger::Recorder recorder;
  std::atomic<std::uint64_t> over{0};
  std::atomic<std::uint64_t> full{0};
  std::atomic<std::uint64_t> told{0};
  std::atomic<bool> running{true};
  Stream<Entry> stream({.capacity = capacity, .overflow = overflow, .arrival_stamps = stamps});
  auto consumer =
      streaming(stream, any_of(CountWindow{std::min<std::size_t>(capacity, 16)}, MaxAgeWindow{1ms}),
                [&](Window<Entry>& window) { recorder.succeeded(recorder.begin(window)); });
  std::jthread watcher([&] {
    while (running) {
      const Stats stats = stream.stats();
      if (stats.pending + stats.in_flight > capacity || !stats.balances()) ++over;
      std::this_thread::yield();
    }
  });
  std::atomic<std::uint64_t> asked{0};
  {
    const stress::Threads threads(producers, [&](std::uint32_t me) {
      for (std::uint64_t s = 0; s < each; ++s) {
        if (s % 4 == 0) {
          ++asked;
          AppendResult result =
              stream.append(Entry::make(me, s), [&](const std::exception_ptr&) { ++told; });
          while (result == AppendResult::full) {
            ++full;
            result = stream.append(Entry::make(me, s), [&](const std::exception_ptr&) { ++told; });
          }
        } else {
          while (stream.append(Entry::make(me, s)) == AppendResult::full) ++full;
        }
      }
    });
  }
  running = false;
  watcher.join();
  consumer.close();
  recorder.accepted(std::vector<std::uint64_t>(producers, each));
  const Stats stats = consumer.stats();
  CHECK(over == 0);
  CHECK(told == asked);
  CHECK(stats.refused_full == full);
  CHECK(ledger::check(recorder.record(), {.gaps = true, .at_most = 16}, stats) == "");
  const DropCause cause = overflow == Overflow::drop_oldest ? DropCause::oldest : DropCause::newest;
  CHECK(stats.dropped() == stats.dropped(cause));
}

TEST_CASE("expiry without a consumer counts every item once", "[stress]") {
  const Overflow overflow =
      GENERATE(Overflow::reject, Overflow::drop_newest, Overflow::drop_oldest);
  std::atomic<std::uint64_t> told{0};
  std::atomic<std::uint64_t> taken{0};
  {
    Stream<int> stream({.capacity = 8, .overflow = overflow, .expire_after = 5us});
    const std::size_t each = stress::scaled(1500);
    {
      const stress::Threads threads(3, [&](std::uint32_t) {
        for (std::size_t i = 0; i < each; ++i) {
          const auto result = stream.append(1, [&](const std::exception_ptr&) { ++told; });
          if (result == AppendResult::accepted || result == AppendResult::dropped) ++taken;
        }
      });
    }
    const Stats stats = stream.stats();
    CHECK(stats.balances());
    CHECK(stats.accepted == taken);
    CHECK(stats.pending + stats.dropped() == taken);
  }
  CHECK(told == taken);
}

TEST_CASE("blocking on bytes ends when bytes are given back", "[stress]") {
  constexpr std::uint64_t most = 100;
  std::atomic<std::uint64_t> over{0};
  std::atomic<std::uint64_t> delivered{0};
  Stream<std::uint64_t> stream(
      {.capacity = 1000, .max_bytes = most, .weight = [](const std::uint64_t& n) { return n; }});
  auto consumer = streaming(stream, CountWindow{50}, [&](Window<std::uint64_t>& window) {
    std::uint64_t sum = 0;
    for (const auto n : window) sum += n;
    if (sum > most) ++over;
    delivered += window.size();
  });
  const std::size_t each = stress::scaled(300);
  {
    const stress::Threads threads(4, [&](std::uint32_t me) {
      for (std::size_t i = 0; i < each; ++i) {
        while (stream.append(me % 2 == 0 ? 1 + i % 7 : 60 + i % 41) == AppendResult::full)
          std::this_thread::yield();
        if (stream.stats().bytes > most) ++over;
      }
    });
  }
  consumer.close();
  CHECK(over == 0);
  CHECK(delivered == 4 * each);
  CHECK(stream.stats().bytes == 0);
}
