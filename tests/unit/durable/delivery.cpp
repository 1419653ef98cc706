// What durable streams promise, on every store.

#include <algorithm>
#include <atomic>
#include <future>
#include <numeric>
#include <span>
#include <stdexcept>

#include <microbatch/testing/recording_sink.hpp>

#include "worlds.hpp"

using namespace test;
using microbatch::CountWindow;
using microbatch::Position;
using microbatch::streaming;
using microbatch::synced;
using microbatch::written;

TEMPLATE_TEST_CASE("receipts come with ascending positions, the last one's for a range",
                   "[durable]", MemoryWorld, SqliteWorld) {
  const TestType world;
  StreamOf<TestType> stream(world.open());
  const Position a = stream.append("a", synced).get();
  const Position b = stream.append("b", written).get();
  auto receipt = stream.append_range(Strings{"c", "d", "e"}, synced);
  CHECK(receipt.accepted() == 3);
  const Position e = receipt.get();
  CHECK(a < b);
  CHECK(b < e);
  CHECK(stream.append_range(Strings{}, synced).get() == -1);
  CHECK(stream.stored().pending == 5);
}

TEMPLATE_TEST_CASE("what was appended is there after a restart, in order, once", "[durable]",
                   MemoryWorld, SqliteWorld) {
  const TestType world;
  {
    StreamOf<TestType> stream(world.open());
    for (const char* item : {"a", "b", "c"}) stream.append(item);
    CHECK(stream.close().written == 3);
  }
  Delivered seen;
  {
    StreamOf<TestType> stream(world.open());
    auto consumer = consume(stream, 2, [&](auto& window) { seen.add(window); });
    stream.append("d");
    consumer.flush();
    CHECK(seen.items() == Strings{"a", "b", "c", "d"});
    CHECK(consumer.close().delivered == 4);
  }
  StreamOf<TestType> stream(world.open());
  CHECK(stream.stored().pending == 0);
  CHECK(stream.stored().delivered == 4);
}

TEMPLATE_TEST_CASE("flush returns where nothing is left of what there was", "[durable]",
                   MemoryWorld, SqliteWorld) {
  const TestType world;
  for (int life = 0; life < 2; ++life) {
    StreamOf<TestType> stream(world.open());
    if (life == 0) stream.append("a", synced).get();
    auto consumer = consume(stream, 1, [](auto&) {});
    CHECK(consumer.flush(30s));
  }
}

TEMPLATE_TEST_CASE("a transaction takes effect once, however often the callback runs", "[durable]",
                   MemoryWorld, SqliteWorld) {
  const TestType world;
  StreamOf<TestType> stream(world.open());
  int calls = 0;
  auto consumer = consume(stream, 4,
                          [&](WindowOf<TestType>& window) {
                            TestType::add(window.transaction(), "items",
                                          static_cast<std::int64_t>(window.size()));
                            if (++calls < 3) throw std::runtime_error("not yet");
                          },
                          {.on_failure = quick_retries()});
  (void)stream.append_range(Strings{"a", "b", "c", "d"});
  consumer.flush();
  CHECK(calls == 3);
  CHECK(world.total("items") == 4);
}

TEMPLATE_TEST_CASE("a poison item becomes a dead letter of the store, and can be put back",
                   "[durable]", MemoryWorld, SqliteWorld) {
  const TestType world;
  StreamOf<TestType> stream(world.open());
  std::atomic<bool> cured{false};
  Delivered seen;
  std::atomic<int> told{0};
  auto consumer = consume(stream, 8,
                          [&](WindowOf<TestType>& window) {
                            for (const auto& item : window)
                              if (item == "bad" && !cured)
                                throw std::runtime_error("cannot digest it");
                            seen.add(window);
                            TestType::add(window.transaction(), "items",
                                          static_cast<std::int64_t>(window.size()));
                          },
                          {.dead_letters = [&](microbatch::DeadLetter<std::string>&) { ++told; },
                           .on_failure = {.max_attempts = 1,
                                          .first_delay = 1ms,
                                          .max_delay = 1ms,
                                          .isolate = microbatch::Isolate::always}});
  (void)stream.append_range(Strings{"a", "b", "c", "bad", "d", "e", "f", "g"});
  consumer.flush();
  Strings delivered = seen.items();
  std::sort(delivered.begin(), delivered.end());
  CHECK(delivered == Strings{"a", "b", "c", "d", "e", "f", "g"});
  CHECK(world.total("items") == 7);
  CHECK(told == 1);
  const auto letters = stream.storage().dead_letters(0, 10);
  REQUIRE(letters.size() == 1);
  CHECK(letters[0].item == "bad");
  CHECK(letters[0].error == "cannot digest it");
  CHECK(letters[0].attempts >= 1);
  CHECK(stream.stored().dead_lettered == 1);
  CHECK(stream.stored().pending == 0);

  cured = true;
  CHECK(stream.storage().put_back(letters[0].id));
  CHECK_FALSE(stream.storage().put_back(letters[0].id));
  consumer.flush();
  CHECK(seen.items().back() == "bad");
  CHECK(stream.stored().dead_letters == 0);
  CHECK(stream.stored().pending == 0);
}

TEMPLATE_TEST_CASE("a rejected item is dead, and the others of its window are delivered",
                   "[durable]", MemoryWorld, SqliteWorld) {
  const TestType world;
  StreamOf<TestType> stream(world.open());
  auto consumer = consume(stream, 3, [&](WindowOf<TestType>& window) {
    window.reject(1, "no");
    TestType::add(window.transaction(), "windows", 1);
  });
  (void)stream.append_range(Strings{"a", "b", "c"});
  consumer.flush();
  CHECK(world.total("windows") == 1);
  CHECK(stream.stored().delivered == 2);
  const auto letters = stream.storage().dead_letters(0, 10);
  REQUIRE(letters.size() == 1);
  CHECK(letters[0].item == "b");
}

namespace {

/// Takes the items whose first letter is an even one, by pairs, and leaves the others.
struct EvenLetters {
  template <class T>
  microbatch::Readiness window_ready(microbatch::Pending<T>& pending, microbatch::TimePoint) {
    return {.ready = picks(pending).size() >= 2, .at_items = pending.size() + 1};
  }
  template <class T>
  microbatch::Readiness flush(microbatch::Pending<T>&, microbatch::TimePoint) {
    return {};
  }
  template <class T>
  void query(microbatch::Pending<T>& pending, microbatch::Draft<T>& draft,
             const microbatch::Readiness&) {
    for (const std::size_t i : picks(pending))
      if (draft.size() < 2) draft.take(i);
  }
  template <class T>
  static std::vector<std::size_t> picks(microbatch::Pending<T>& pending) {
    std::vector<std::size_t> found;
    for (std::size_t i = 0; i < pending.size(); ++i)
      if (pending[i][0] % 2 == 0) found.push_back(i);
    return found;
  }
};

}  // namespace

TEMPLATE_TEST_CASE("a row that is partly consumed keeps the rest, and only the rest", "[durable]",
                   MemoryWorld, SqliteWorld) {
  const TestType world;
  Delivered seen;
  {
    StreamOf<TestType> stream(world.open());
    stream.append_range(Strings{"a", "b", "c", "d", "e", "f", "g", "h", "i"}, synced).get();
    std::promise<void> both;
    auto consumer = streaming(stream, EvenLetters{}, [&](auto& window) {
      seen.add(window);
      if (seen.items().size() == 4) both.set_value();
    });
    both.get_future().wait();
    (void)consumer.close();
    CHECK(seen.items() == Strings{"b", "d", "f", "h"});
    CHECK(stream.stored().pending == 5);
  }
  Delivered rest;
  StreamOf<TestType> stream(world.open());
  auto consumer = consume(stream, 2, [&](auto& window) { rest.add(window); });
  consumer.flush();
  CHECK(rest.items() == Strings{"a", "c", "e", "g", "i"});
  CHECK(stream.stored().pending == 0);
}

TEMPLATE_TEST_CASE("failed attempts are counted across restarts", "[durable]", MemoryWorld,
                   SqliteWorld) {
  const TestType world;
  {
    StreamOf<TestType> stream(world.open());
    stream.append("a", synced).get();
    std::promise<void> failed_twice;
    int calls = 0;
    auto consumer =
        consume(stream, 1,
                [&](WindowOf<TestType>&) {
                  if (++calls == 3) failed_twice.set_value();
                  throw std::runtime_error("not yet");
                },
                {.on_failure = {.max_attempts = 1000, .first_delay = 1ms, .max_delay = 1s}});
    failed_twice.get_future().wait();
    (void)consumer.stop();
  }
  std::uint32_t attempt = 0;
  StreamOf<TestType> stream(world.open());
  auto consumer =
      consume(stream, 1, [&](WindowOf<TestType>& window) { attempt = window.attempt(); },
              {.on_failure = {.max_attempts = 1000}});
  consumer.flush();
  CHECK(attempt >= 3);  // two or more before, and this one
}

TEMPLATE_TEST_CASE("a consumer that has lost its lease cannot commit, and begins anew", "[durable]",
                   MemoryWorld, SqliteWorld) {
  const TestType world;
  StreamOf<TestType> stream(world.open());
  std::promise<void> inside;
  std::promise<void> go_on;
  std::atomic<int> calls{0};
  std::atomic<int> lost{0};
  auto consumer = consume(stream, 2,
                          [&](WindowOf<TestType>& window) {
                            TestType::add(window.transaction(), "items",
                                          static_cast<std::int64_t>(window.size()));
                            if (calls++ == 0) {
                              inside.set_value();
                              go_on.get_future().wait();
                            }
                          },
                          {.on_failure = quick_retries(),
                           .on_error =
                               [&](const microbatch::BackgroundError& error) {
                                 if (error.text.find("lease") != std::string::npos) ++lost;
                               }},
                          {.lease = 200ms});
  stream.append_range(Strings{"a", "b"}, synced).get();
  inside.get_future().wait();
  (void)world.open()->replay(0);  // takes the lease away
  go_on.set_value();
  consumer.flush();
  CHECK(lost >= 1);
  CHECK(calls == 2);
  CHECK(world.total("items") == 2);
  CHECK(stream.stored().delivered == 2);
}

TEMPLATE_TEST_CASE("one consumer is active, and the next one takes over when it closes",
                   "[durable]", MemoryWorld, SqliteWorld) {
  const TestType world;
  StreamOf<TestType> first(world.open());
  StreamOf<TestType> second(world.open());
  Delivered seen_first;
  Delivered seen_second;
  auto a = consume(first, 1, [&](auto& window) { seen_first.add(window); }, {}, {.lease = 200ms});
  first.append("a");
  a.flush();
  auto b = consume(second, 1, [&](auto& window) { seen_second.add(window); }, {}, {.lease = 200ms});
  second.append("b");
  a.flush();
  second.flush();
  a.flush();
  CHECK_FALSE(b.flush(1ms));
  CHECK_FALSE(b.active());
  (void)a.close();
  second.append("c");
  b.flush();
  CHECK(seen_first.items() == Strings{"a", "b"});
  CHECK(seen_second.items() == Strings{"c"});
}

TEMPLATE_TEST_CASE("kept items can be replayed from a position", "[durable]", MemoryWorld,
                   SqliteWorld) {
  const TestType world(true);
  StreamOf<TestType> stream(world.open());
  Delivered seen;
  std::vector<Position> positions;
  auto consumer = consume(stream, 1,
                          [&](WindowOf<TestType>& window) {
                            seen.add(window);
                            positions.push_back(window.sequence());
                          },
                          {}, {.lease = 200ms});
  (void)stream.append_range(Strings{"a", "b", "c"});
  stream.flush();
  (void)stream.append_range(Strings{"d", "e"});
  consumer.flush();
  REQUIRE(positions.size() == 5);
  CHECK(stream.stored().pending == 0);
  CHECK(stream.storage().replay(positions[1]) == 4);
  consumer.flush();
  CHECK(seen.items() == Strings{"a", "b", "c", "d", "e", "b", "c", "d", "e"});
  CHECK(positions[5] == positions[1]);
  CHECK(stream.stored().pending == 0);
}

TEMPLATE_TEST_CASE("results go to the sink before the window commits", "[durable]", MemoryWorld,
                   SqliteWorld) {
  const TestType world;
  StreamOf<TestType> stream(world.open());
  microbatch::testing::RecordingSink<std::size_t> sink;
  sink.fail_next(2);
  int calls = 0;
  auto consumer = streaming(stream, CountWindow{2},
                            [&](WindowOf<TestType>& window) {
                              ++calls;
                              TestType::add(window.transaction(), "windows", 1);
                              return window.size();
                            },
                            {.sink = std::ref(sink), .on_failure = quick_retries()});
  (void)stream.append_range(Strings{"a", "b"});
  consumer.flush();
  CHECK(calls == 1);
  CHECK(sink.puts() == 3);
  CHECK(sink.results() == std::vector<std::size_t>{2});
  CHECK(world.total("windows") == 1);
  CHECK(stream.stored().pending == 0);
}

TEMPLATE_TEST_CASE("of a sink that fails in part, only what it did not take is put again",
                   "[durable]", MemoryWorld, SqliteWorld) {
  struct Moody {  // its n-th put takes results of up to n bytes
    microbatch::PutErrors put(std::span<const std::string> results) {
      puts.emplace_back(results.begin(), results.end());
      microbatch::PutErrors errors;
      for (std::size_t i = 0; i < results.size(); ++i)
        if (results[i].size() > puts.size())
          errors.push_back({i, std::make_exception_ptr(std::runtime_error("not yet"))});
      return errors;
    }
    std::vector<Strings> puts;
  };
  const TestType world;
  StreamOf<TestType> stream(world.open());
  Moody sink;
  int calls = 0;
  auto consumer = streaming(stream, CountWindow{4},
                            [&](WindowOf<TestType>& window) {
                              ++calls;
                              TestType::add(window.transaction(), "windows", 1);
                              return Strings(window.begin(), window.end());
                            },
                            {.sink = std::ref(sink), .on_failure = quick_retries()});
  stream.append_range(Strings{"22", "1", "333", "22"}, synced).get();
  consumer.flush();
  CHECK(calls == 1);
  CHECK(sink.puts == std::vector<Strings>{{"22", "1", "333", "22"}, {"22"}, {"333", "22"}});
  CHECK(world.total("windows") == 1);
  CHECK(stream.stored().delivered == 4);
  CHECK(stream.stored().dead_lettered == 0);
}

TEMPLATE_TEST_CASE("windows that run side by side each commit their own items", "[durable]",
                   MemoryWorld, SqliteWorld) {
  const TestType world;
  const auto order = GENERATE(microbatch::Order::unordered, microbatch::Order::committed_in_order);
  StreamOf<TestType> stream(world.open());
  microbatch::ThreadPool pool(4);
  {
    auto consumer = consume(stream, 3,
                            [&](WindowOf<TestType>& window) {
                              TestType::add(window.transaction(), "items",
                                            static_cast<std::int64_t>(window.size()));
                            },
                            {.executor = pool, .order = order});
    for (int i = 0; i < 200; ++i) stream.append(std::to_string(i));
    consumer.flush();
  }
  CHECK(world.total("items") == 200);
  CHECK(stream.stored().pending == 0);
}

TEMPLATE_TEST_CASE("more pending items than the capacity are loaded as room comes", "[durable]",
                   MemoryWorld, SqliteWorld) {
  const TestType world;
  StreamOf<TestType> stream(world.open(), {.group_items = 50});
  Strings all;
  for (int i = 0; i < 1000; ++i) all.push_back(std::to_string(i));
  stream.append_range(all, synced).get();
  Delivered seen;
  std::atomic<std::uint64_t> most{0};
  microbatch::DurableConsumer<std::string>* running = nullptr;
  auto consumer = consume(stream, 7, [&](auto& window) { seen.add(window); }, {}, {.capacity = 16});
  running = &consumer;
  const auto stats = running->stats();
  most = stats.pending + stats.in_flight;
  consumer.flush();
  CHECK(seen.items() == all);
  CHECK(most <= 16);
}

TEMPLATE_TEST_CASE("old batches, and the oldest beyond a size, are dropped and counted",
                   "[durable]", MemoryWorld, SqliteWorld) {
  const TestType world;
  auto store = world.open();
  StreamOf<TestType> stream(store);
  for (int i = 0; i < 10; ++i) stream.append(std::string(100, 'x'), written).get();
  store->drop({.max_bytes = 520}, 0);
  CHECK(stream.stored().evicted == 5);
  CHECK(stream.stored().pending == 5);
  store->drop({.older_than = 1h}, 0);
  CHECK(stream.stored().expired == 0);
  store->drop({.older_than = 1ns}, 0);
  CHECK(stream.stored().expired == 5);
  CHECK(stream.stored().pending == 0);
  const Position next = stream.append("y", written).get();
  CHECK(microbatch::batch_of(next) == 11);  // numbers are not used again
}

TEMPLATE_TEST_CASE("items without a byte, and large ones", "[durable]", MemoryWorld, SqliteWorld) {
  const TestType world;
  const std::string large(64U << 20, 'L');
  {
    StreamOf<TestType> stream(world.open());
    stream.append_range(Strings{"", large, "", "end"}, synced).get();
  }
  StreamOf<TestType> stream(world.open());
  std::vector<std::size_t> sizes;
  auto consumer = streaming(stream, CountWindow{1}, [&](std::span<const std::string> items) {
    for (const auto& item : items) sizes.push_back(item.size());
  });
  consumer.flush();
  CHECK(sizes == std::vector<std::size_t>{0, large.size(), 0, 3});
}

TEST_CASE("a store that fails for a while: receipts tell at once, what is queued waits",
          "[durable]") {
  const MemoryWorld world;
  StreamOf<MemoryWorld> stream(world.open());
  world.store->fail_with(
      std::make_exception_ptr(microbatch::StorageError("memory: no space left", true)));
  CHECK(stream.append("queued") == microbatch::AppendResult::accepted);
  auto receipt = stream.append("told", synced);
  CHECK_THROWS_WITH(receipt.get(), Catch::Contains("no space left"));
  world.store->fail_with(nullptr);
  stream.append("after", synced).get();
  Delivered seen;
  auto consumer = consume(stream, 1, [&](auto& window) { seen.add(window); });
  consumer.flush();
  CHECK(seen.items() == Strings{"queued", "after"});
}

TEST_CASE("a store that has failed for good gives back what was queued", "[durable]") {
  const MemoryWorld world;
  StreamOf<MemoryWorld> stream(world.open());
  world.store->fail_with(std::make_exception_ptr(microbatch::StorageError("memory: gone")));
  CHECK(stream.append("queued") == microbatch::AppendResult::accepted);
  auto closed = stream.close(10s);
  CHECK(closed.unwritten == Strings{"queued"});
  CHECK(closed.written == 0);
}

TEST_CASE("a commit that fails is repeated without its callback where results wait for a sink",
          "[durable]") {
  const MemoryWorld world;
  StreamOf<MemoryWorld> stream(world.open());
  microbatch::testing::RecordingSink<std::size_t> sink;
  std::atomic<int> calls{0};
  std::atomic<int> failures{0};
  auto consumer =
      streaming(stream, CountWindow{1},
                [&](WindowOf<MemoryWorld>& window) {
                  ++calls;
                  world.store->fail_with(
                      std::make_exception_ptr(microbatch::StorageError("memory: busy", true)));
                  return window.size();
                },
                {.sink = std::ref(sink),
                 .on_failure = quick_retries(),
                 .on_error = [&](const microbatch::BackgroundError& error) {
                   if (error.where == microbatch::BackgroundError::Where::sink && ++failures == 2)
                     world.store->fail_with(nullptr);
                 }});
  stream.append("a", synced).get();
  consumer.flush();
  CHECK(calls == 1);
  CHECK(failures >= 2);
  CHECK(sink.puts() == 1);
  CHECK(stream.stored().pending == 0);
}

TEST_CASE("an emitter that could never be ready is told when streaming() is called", "[durable]") {
  const MemoryWorld world;
  StreamOf<MemoryWorld> stream(world.open());
  CHECK_THROWS_AS(consume(stream, 100, [](auto&) {}, {}, {.capacity = 10}),
                  microbatch::ConfigError);
}
