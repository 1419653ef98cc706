// Every call that can block, while a callback does not return.
//
// Allowed:   a call with a timeout that returns at its end; one without that returns once the
// stream is
//            closed.
// Forbidden: a call that waits for the callback after all.

#include "support/catch.hpp"

#include <microbatch/microbatch.hpp>

#include <atomic>
#include <memory>
#include <optional>
#include <semaphore>
#include <thread>

using namespace microbatch;
using namespace std::chrono_literals;

TEST_CASE("guarantee 7: every blocking call has a bound or a way out of a stuck callback",
          "[stress]") {
  struct Gate {
    std::atomic<bool> inside{false};
    std::atomic<bool> left{false};
    std::binary_semaphore open{0};
  };
  const auto gate = std::make_shared<Gate>();
  std::optional<Stream<int>> stream(StreamOptions<int>{.capacity = 2});
  auto producer = stream->producer();
  std::optional<Consumer<int>> consumer(streaming(*stream, CountWindow{1}, [gate](Window<int>&) {
    gate->inside = true;
    (void)gate->open.try_acquire_for(20s);  // long enough to be for ever
    gate->left = true;
  }));
  REQUIRE(producer.append(1) == AppendResult::accepted);
  while (!gate->inside) std::this_thread::yield();
  const auto second = producer.append(2, ack);
  REQUIRE(second.result() == AppendResult::accepted);

  CHECK(producer.append_for(3, 10ms) == AppendResult::timeout);
  CHECK(producer.try_append(3) == AppendResult::full);
  CHECK_FALSE(consumer->flush(10ms));
  CHECK(second.wait_for(10ms) == std::future_status::timeout);

  AppendResult append_result{};
  std::jthread append([&] { append_result = producer.append(3); });
  std::jthread flush([&] { consumer->flush(); });
  std::jthread wait([&] { second.wait(); });
  const auto result = consumer->close(20ms);
  append.join();
  flush.join();
  wait.join();
  CHECK(append_result == AppendResult::closed);
  CHECK(result.timed_out);
  CHECK(result.abandoned == 1);
  CHECK(result.handed_back == std::vector{2});
  CHECK_THROWS_AS(second.get(), NotDelivered);
  consumer.reset();  // neither waits nor joins after close(timeout)
  stream.reset();
  CHECK_FALSE(gate->left);
  gate->open.release();
  while (!gate->left) std::this_thread::yield();
}
