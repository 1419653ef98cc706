// Appends from inside callbacks: into the callback's own stream, and between two streams whose
// callbacks run on one pool.
//
// Allowed:   would_deadlock, where room could only come from the caller's own end; accepted.
// Forbidden: a hang; an item lost; would_deadlock on a stream that has room.

#include "support/catch.hpp"
#include "support/stress.hpp"

#include <microbatch/microbatch.hpp>

#include <atomic>

using namespace microbatch;
using namespace std::chrono_literals;

TEST_CASE("a callback that appends to its own full stream is told, and goes on", "[stress]") {
  const std::size_t capacity = GENERATE(as<std::size_t>{}, 1, 2, 8);
  const std::size_t workers = GENERATE(as<std::size_t>{}, 1, 3);
  CAPTURE(capacity, workers);
  std::atomic<std::uint64_t> refused{0};
  std::atomic<std::uint64_t> appended{0};
  std::atomic<std::uint64_t> other{0};
  ThreadPool pool(workers);
  Stream<int> stream({.capacity = capacity});
  auto consumer = streaming(
      stream, any_of(CountWindow{1}, MaxAgeWindow{1ms}),
      [&](Window<int>& window) {
        for (const int depth : window) {
          if (depth == 0) continue;
          for (int i = 0; i < 2; ++i) {
            switch (i == 0 ? stream.append(depth - 1) : stream.append_for(depth - 1, 10s)) {
              case AppendResult::accepted:
                ++appended;
                break;
              case AppendResult::would_deadlock:
              case AppendResult::full:
                ++refused;
                break;
              case AppendResult::closed:
                break;
              default:
                ++other;
            }
          }
        }
      },
      {.executor = pool, .order = Order::unordered});
  const std::uint64_t each = stress::scaled(100);
  {
    const stress::Threads threads(2, [&](std::uint32_t) {
      for (std::uint64_t i = 0; i < each; ++i)
        while (stream.append(3) != AppendResult::accepted) std::this_thread::yield();
    });
  }
  const auto result = consumer.close();
  CHECK(other == 0);
  CHECK(refused > 0);
  CHECK(result.delivered == 2 * each + appended);
}

TEST_CASE("two streams that block on each other through one pool do not hang", "[stress]") {
  const std::size_t workers = GENERATE(as<std::size_t>{}, 1, 2, 3);
  const std::size_t capacity = GENERATE(as<std::size_t>{}, 1, 4);
  CAPTURE(workers, capacity);
  ThreadPool pool(workers);
  Stream<int> there({.capacity = capacity});
  Stream<int> back({.capacity = capacity});
  std::atomic<std::uint64_t> refused{0};
  std::atomic<std::uint64_t> passed{0};
  const auto into = [&](Stream<int>& other) {
    return [&](Window<int>& window) {
      for (const int hops : window) {
        if (hops == 0) continue;
        if (other.append(hops - 1) == AppendResult::accepted)
          ++passed;
        else
          ++refused;
      }
    };
  };
  const ConsumerOptions<> options{.executor = pool};
  auto a = streaming(there, CountWindow{1}, into(back), options);
  auto b = streaming(back, CountWindow{1}, into(there), options);
  const std::uint64_t each = stress::scaled(150);
  {
    const stress::Threads threads(4, [&](std::uint32_t me) {
      for (std::uint64_t i = 0; i < each; ++i)
        while ((me % 2 == 0 ? there : back).append(4) != AppendResult::accepted)
          std::this_thread::yield();
    });
  }
  const auto first = a.close();
  const auto second = b.close();
  CHECK(first.delivered + second.delivered == 4 * each + passed);
  CHECK(there.stats().balances());
  CHECK(back.stats().balances());
  if (workers == 1 && capacity == 1) CHECK(refused > 0);
}

TEST_CASE("a chain of streams on one pool delivers everything while workers suffice", "[stress]") {
  ThreadPool pool(3);
  std::atomic<std::uint64_t> arrived{0};
  std::atomic<std::uint64_t> refused{0};
  Stream<int> first({.capacity = 16});
  Stream<int> second({.capacity = 4});
  const ConsumerOptions<> options{.executor = pool};
  auto last = streaming(
      second, CountWindow{2}, [&](Window<int>& window) { arrived += window.size(); }, options);
  auto middle = streaming(
      first, CountWindow{4},
      [&](Window<int>& window) {
        for (const int item : window)
          if (second.append(item) != AppendResult::accepted) ++refused;
      },
      options);
  const std::uint64_t n = stress::scaled(3000);
  for (std::uint64_t i = 0; i < n; ++i) REQUIRE(first.append(1) == AppendResult::accepted);
  middle.close();
  last.close();
  CHECK(refused == 0);
  CHECK(arrived == n);
}
