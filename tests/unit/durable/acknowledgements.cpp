// append(item, ack) on a durable stream: the answer comes when the item has settled.

#include <future>
#include <stdexcept>

#include "worlds.hpp"

using namespace test;
using microbatch::ack;
using microbatch::AppendResult;
using microbatch::NotDelivered;
using microbatch::Outcome;

TEMPLATE_TEST_CASE("an acknowledgement tells that its item was delivered, also by another process",
                   "[durable][ack]", MemoryWorld, SqliteWorld) {
  const TestType world;
  StreamOf<TestType> here(world.open());
  StreamOf<TestType> elsewhere(world.open());
  auto first = here.append("a", ack);
  CHECK(first.result() == AppendResult::accepted);
  auto producer = here.producer();
  auto second = producer.append("b", ack);
  std::promise<void> told;
  CHECK(here.append("c", [&](const std::exception_ptr& error) {
    if (!error) told.set_value();
  }) == AppendResult::accepted);
  here.flush();
  CHECK_FALSE(first.ready());
  auto consumer = consume(elsewhere, 1, [](auto&) {});
  CHECK(first.get() == Outcome::delivered);
  CHECK(second.get() == Outcome::delivered);
  told.get_future().wait();
}

TEMPLATE_TEST_CASE("an acknowledgement throws what a dead letter died of", "[durable][ack]",
                   MemoryWorld, SqliteWorld) {
  const TestType world;
  StreamOf<TestType> stream(world.open());
  auto consumer = consume(stream, 3, [](auto& window) {
    for (std::size_t i = 0; i < window.size(); ++i)
      if (window[i] == "bad") window.reject(i, "it does not swim");
  });
  auto good = stream.append("good", ack);
  auto bad = stream.append("bad", ack);
  auto better = stream.append("better", ack);
  consumer.flush();
  CHECK(good.get() == Outcome::delivered);
  CHECK(better.get() == Outcome::delivered);
  CHECK_THROWS_WITH(bad.get(), Catch::Contains("it does not swim"));
  CHECK_THROWS_AS(bad.get(), microbatch::DeadLettered);
}

TEMPLATE_TEST_CASE("an acknowledgement tells that its item was dropped by rule", "[durable][ack]",
                   MemoryWorld, SqliteWorld) {
  const TestType world;
  StreamOf<TestType> stream(world.open());
  auto old = stream.append("old", ack);
  stream.flush();
  stream.storage().drop({.older_than = 1ns}, 0);
  CHECK_THROWS_WITH(old.get(), Catch::Contains("expired"));
}

TEMPLATE_TEST_CASE("an item that has not settled when its stream closes says so, and is kept",
                   "[durable][ack]", MemoryWorld, SqliteWorld) {
  const TestType world;
  microbatch::Acknowledgement answer;
  {
    StreamOf<TestType> stream(world.open());
    answer = stream.append("a", ack);
    stream.flush();
  }
  try {
    (void)answer.get();
    FAIL("it was not delivered");
  } catch (const NotDelivered& error) {
    CHECK(error.outcome() == Outcome::abandoned);
  }
  CHECK(StreamOf<TestType>(world.open()).stored().pending == 1);
}

TEST_CASE("an acknowledgement tells that its item could not be written", "[durable][ack]") {
  const MemoryWorld world;
  StreamOf<MemoryWorld> stream(world.open());
  world.store->fail_with(
      std::make_exception_ptr(microbatch::StorageError("memory: no space left", true)));
  auto answer = stream.append("a", ack);
  CHECK_THROWS_WITH(answer.get(), Catch::Contains("no space left"));
  world.store->fail_with(nullptr);
  (void)stream.close();
  auto refused = stream.append("b", ack);
  CHECK(refused.result() == AppendResult::closed);
  CHECK_THROWS_AS(refused.get(), microbatch::AppendError);
}
