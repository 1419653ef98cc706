// Coroutines that await appends to a small stream.
//
// Allowed: they go on in any order. Forbidden: one that sleeps for ever, an item that is lost or
// comes twice, an answer other than `accepted` before the stream closes.

#include <microbatch/async_append.hpp>
#include <microbatch/microbatch.hpp>

#include <atomic>
#include <thread>
#include <vector>

#include "support/catch.hpp"
#include "support/detached.hpp"
#include "support/stress.hpp"

using namespace microbatch;
using namespace std::chrono_literals;

namespace {

test::Detached append_all(Stream<int>& stream, int n, std::vector<AppendResult>& results) {
  for (int i = 0; i < n; ++i) results.push_back(co_await AsyncAppend(stream, i));
}

}  // namespace

TEST_CASE("many coroutines append through a small stream, none sleeps for ever", "[stress]") {
  std::atomic<std::uint64_t> sum{0};
  constexpr std::size_t coroutines = 20;
  const auto each = static_cast<int>(stress::scaled(500));
  std::vector<std::vector<AppendResult>> results(coroutines);
  Stream<int> stream({.capacity = 8});
  auto consumer = streaming(stream, CountWindow{3}, [&](Window<int>& window) {
    for (const int i : window) sum += static_cast<std::uint64_t>(i);
  });
  stress::Threads threads(2, [&](std::uint32_t t) {
    for (std::size_t c = t; c < coroutines; c += 2) append_all(stream, each, results[c]);
  });
  threads.join();
  // They go on by themselves, on the consumer's thread.
  const auto all = coroutines * static_cast<std::uint64_t>(each);
  for (int i = 0; i < 10'000 && consumer.stats().accepted < all; ++i)
    std::this_thread::sleep_for(1ms);
  CHECK(consumer.close().delivered == all);
  CHECK(sum ==
        coroutines * static_cast<std::uint64_t>(each - 1) * static_cast<std::uint64_t>(each) / 2);
  for (const auto& result : results)
    CHECK(result == std::vector(static_cast<std::size_t>(each), AppendResult::accepted));
}
