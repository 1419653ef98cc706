// A stream over a memory resource of the user's, which goes as soon as it may.
//
// Allowed:   an append that is told that the stream is closed.
// Forbidden: memory that is used, or given back, when the consumer has ended and the calls inside
//            have returned; an item that is lost or comes twice.

#include "support/catch.hpp"
#include "support/counting_resource.hpp"
#include "support/stress.hpp"

#include <microbatch/microbatch.hpp>

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <thread>
#include <vector>

using namespace microbatch;
using namespace std::chrono_literals;

TEST_CASE("a memory resource that dies with the consumer has all its memory back", "[stress]") {
  constexpr int producers = 3;
  ThreadPool pool(2);
  for (std::size_t round = 0; round < stress::scaled(200); ++round) {
    CAPTURE(round);
    std::optional<test::CountingResource> memory(std::in_place);
    std::atomic<std::uint64_t> delivered{0};
    std::atomic<std::uint64_t> accepted{0};
    std::atomic<int> inside{producers};
    std::atomic<bool> over{false};
    Stream<std::uint64_t> stream(StreamOptions<std::uint64_t>{.capacity = 64, .memory = &*memory});
    std::optional<Consumer<std::uint64_t>> consumer(
        streaming(stream, any_of(CountWindow{5}, MaxAgeWindow{1ms}),
                  [&](Window<std::uint64_t>& window) { delivered += window.size(); },
                  {.executor = pool, .order = Order::unordered}));
    std::vector<std::thread> threads;
    for (int p = 0; p < producers; ++p)
      threads.emplace_back([&, own = stream.producer(), p]() mutable {
        for (std::uint64_t i = 0;; ++i) {
          const auto result = p == 0 ? stream.append(i) : own.append(i);
          if (result != AppendResult::accepted) break;
          ++accepted;
        }
        --inside;
        // The memory is gone, and we still ask, on lanes that we still hold.
        while (!over) std::this_thread::yield();
        for (int i = 0; i < 10; ++i) {
          if (stream.append(1) != AppendResult::closed) std::abort();
          if (own.append(1) != AppendResult::closed) std::abort();
        }
      });
    while (accepted < 200) std::this_thread::yield();
    const auto ended = consumer->close();
    while (inside > 0) std::this_thread::yield();
    consumer.reset();
    CHECK(memory->blocks() == 0);
    CHECK_FALSE(memory->confused());
    memory.reset();
    over = true;
    for (auto& thread : threads) thread.join();
    CHECK(ended.delivered == accepted);
    CHECK(delivered == accepted);
    CHECK(stream.stats().balances());
  }
}
