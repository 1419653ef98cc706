// What a stream keeps from one process to the next: attempts, arrival times, windows.

#include <atomic>
#include <chrono>
#include <future>

#include <microbatch/emitters/max_age_window.hpp>

#include "worlds.hpp"

using namespace test;
using microbatch::ItemRun;
using microbatch::Position;
using microbatch::synced;

namespace {

/// What a process leaves behind that dies while a callback has these items.
template <class S>
void die_with(S& store, const ItemRun& run) {
  const auto lease = store.acquire("the dead", 1ns);
  REQUIRE(lease);
  (void)store.mark(lease->token, {&run, 1});
}

}  // namespace

TEMPLATE_TEST_CASE("what was with a callback when its process died has failed once more",
                   "[durable][lives]", MemoryWorld, SqliteWorld) {
  const TestType world;
  const auto store = world.open();
  write_batch(*store, {"a", "b", "c"});
  die_with(*store, {.batch = 1, .begin = 1, .end = 2});
  const auto next = store->acquire("the next", 1ns);
  REQUIRE(next);
  std::vector<microbatch::StoredBatch> batches;
  store->load(0, 1, batches);
  REQUIRE(batches.size() == 1);
  CHECK(batches[0].attempts == std::vector<std::uint16_t>{0, 1, 0});

  const ItemRun all{.batch = 1, .begin = 0, .end = 3};
  store->unmark(next->token, store->mark(next->token, {&all, 1}));  // it came back
  const auto third = store->acquire("the third", 1h);
  REQUIRE(third);
  (void)store->mark(third->token, {&all, 1});
  store->release(third->token);  // it gave up in peace
  REQUIRE(store->acquire("the fourth", 1ns));
  batches.clear();
  store->load(0, 1, batches);
  CHECK(batches[0].attempts == std::vector<std::uint16_t>{0, 1, 0});
}

TEMPLATE_TEST_CASE("an item that has used up its attempts is handled alone, and then given up",
                   "[durable][lives]", MemoryWorld, SqliteWorld) {
  const TestType world;
  write_batch(*world.open(), {"a", "b", "bad", "c", "d"});
  const ItemRun bad{.batch = 1, .begin = 2, .end = 3};
  for (int life = 0; life < 3; ++life) die_with(*world.open(), bad);
  SECTION("it may be innocent") {
    StreamOf<TestType> stream(world.open());
    std::vector<Strings> windows;
    auto consumer = consume(
        stream, 10, [&](auto& window) { windows.emplace_back(window.begin(), window.end()); },
        {.on_failure = {.max_attempts = 3}});
    consumer.flush();
    CHECK(windows == std::vector<Strings>{{"a", "b"}, {"bad"}, {"c", "d"}});
    CHECK(stream.stored().dead_lettered == 0);
  }
  SECTION("or not") {
    for (int life = 0; life < 3; ++life) die_with(*world.open(), bad);
    StreamOf<TestType> stream(world.open());
    Delivered seen;
    auto consumer = consume(stream, 10, [&](auto& window) { seen.add(window); },
                            {.on_failure = {.max_attempts = 3}});
    consumer.flush();
    CHECK(seen.items() == Strings{"a", "b", "c", "d"});
    const auto letters = stream.storage().dead_letters(0, 10);
    REQUIRE(letters.size() == 1);
    CHECK(letters[0].item == "bad");
    CHECK(letters[0].attempts == 6);
    CHECK_THAT(letters[0].error, Catch::Contains("given up: 6 attempts"));
  }
}

TEST_CASE("an outage is not held against the items of an earlier process", "[durable][lives]") {
  const MemoryWorld world;
  StreamOf<MemoryWorld> stream(world.open());
  stream.append("a", synced).get();
  {
    std::atomic<int> calls{0};
    std::promise<void> many;
    auto consumer = consume(stream, 1,
                            [&](auto&) {
                              if (++calls == 20) many.set_value();
                              throw microbatch::TransientError("the database is down");
                            },
                            {.on_failure = quick_retries()});
    many.get_future().wait();
    (void)consumer.stop();
  }
  std::vector<microbatch::StoredBatch> batches;
  world.store->load(0, 1, batches);
  REQUIRE(batches.size() == 1);
  CHECK(batches[0].attempts.empty());
}

TEST_CASE("items keep their arrival from one process to the next, but not over a reboot",
          "[durable][lives]") {
  const SqliteWorld world;
  const auto opened = [] { return microbatch::steady_clock().now(); };
  microbatch::TimePoint written;
  {
    StreamOf<SqliteWorld> stream(world.open());
    stream.append("a", synced).get();
    written = opened();
  }
  const bool reboot = GENERATE(false, true);
  if (reboot) world.sql("UPDATE microbatch_batches SET boot = 'another'");
  const microbatch::TimePoint before = opened();
  StreamOf<SqliteWorld> stream(world.open());
  microbatch::TimePoint stamp;
  microbatch::TimePoint oldest;
  auto consumer = microbatch::streaming(stream, microbatch::MaxAgeWindow{1h},
                                        [&](microbatch::sqlite::Window<std::string>& window) {
                                          stamp = window.base().stamp(0);
                                          oldest = window.oldest_at();
                                        });
  consumer.flush();
  CHECK(stamp == oldest);
  if (reboot)
    CHECK(stamp >= before);
  else
    CHECK(stamp <= written);
}

TEST_CASE("windows of a stream that keeps them are listed, and can be replayed from",
          "[durable][lives]") {
  const SqliteWorld world(true);
  StreamOf<SqliteWorld> stream(world.open());
  write_batch(stream.storage(), {"a", "b", "c", "d", "e"});
  Delivered seen;
  auto consumer = consume(stream, 2, [&](auto& window) { seen.add(window); }, {}, {.lease = 200ms});
  consumer.flush();
  const auto windows = stream.storage().windows(0, 10);
  REQUIRE(windows.size() == 3);
  CHECK(windows[0].items == 2);
  CHECK(windows[1].first == microbatch::position_of(1, 2));
  CHECK(windows[1].last == microbatch::position_of(1, 3));
  CHECK(windows[2].items == 1);
  CHECK(windows[2].committed_at >= windows[0].committed_at);
  CHECK(stream.storage().windows(windows[0].id, 1).front().id == windows[1].id);
  CHECK(stream.storage().replay(windows[1].first) == 3);
  consumer.flush();
  CHECK(seen.items() == Strings{"a", "b", "c", "d", "e", "c", "d", "e"});
  CHECK(stream.storage().windows(windows[2].id, 10).size() == 2);
}
