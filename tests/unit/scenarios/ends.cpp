// The scenarios about closing and stopping.

#include <microbatch/testing/recording_sink.hpp>

#include <functional>
#include <memory>
#include <optional>
#include <thread>

#include "support/rig.hpp"

using namespace microbatch;
using namespace std::chrono_literals;
using test::Names;
using test::Rig;
using test::Windows;

TEST_CASE("scenario 6: closed twice, the items come once, and the sink is closed once",
          "[scenario]") {
  testing::ManualClock clock;
  testing::ManualExecutor executor;
  testing::RecordingSink<int> sink;
  Stream<int> stream({.clock = clock});
  auto consumer =
      streaming(stream, CountWindow{2},
                [](Window<int>& window) { return std::vector<int>(window.begin(), window.end()); },
                {.executor = executor, .sink = std::ref(sink)});
  for (int i = 1; i <= 3; ++i) REQUIRE(stream.append(i) == AppendResult::accepted);
  const auto first = consumer.close();
  const auto second = consumer.close();
  CHECK(first.delivered == 3);
  CHECK(second.delivered == 3);
  CHECK_FALSE(first.timed_out);
  CHECK_FALSE(second.timed_out);
  CHECK(second.handed_back.empty());
  CHECK(sink.results() == std::vector{1, 2, 3});
  CHECK(sink.closes() == 1);
}

TEST_CASE("scenario 11: a close emits what is there at once", "[scenario]") {
  Rig rig;
  rig.consume(any_of(CountWindow{1000}, MaxAgeWindow{10s}));
  rig.append(1, 2, 3);
  rig.run();
  CHECK(rig.windows.empty());
  rig.close();
  CHECK(rig.now() == 0s);
  CHECK(rig.items() == Windows<>{{1, 2, 3}});
  CHECK(rig.reasons() == Names{"close"});
}

TEST_CASE("scenario 11: a close without items makes no window", "[scenario]") {
  Rig rig;
  rig.consume(any_of(CountWindow{1000}, MaxAgeWindow{10s}));
  rig.run();
  rig.close();
  CHECK(rig.calls.empty());
}

TEST_CASE("scenario 13: a stop hands back exactly what is pending", "[scenario]") {
  Rig rig;
  rig.consume(CountWindow{10});
  rig.append(1, 2, 3);
  SECTION("in the lanes") {}
  SECTION("swept") { rig.run(); }
  const auto result = rig.stop();
  CHECK(result.handed_back == std::vector{1, 2, 3});
  CHECK(result.delivered == 0);
  CHECK(rig.calls.empty());
  CHECK(rig.stats().handed_back == 3);
  CHECK(rig.stream.append(4) == AppendResult::closed);
}

TEST_CASE("scenario 13: a pool that was already shut down is an error at construction",
          "[scenario]") {
  Rig rig;
  rig.append(1, 2, 3);
  ThreadPool pool{1};
  pool.stop();
  CHECK_THROWS_AS(streaming(rig.stream, CountWindow{10}, [](Window<int>&) {}, {.executor = pool}),
                  ExecutorError);
  rig.consume(CountWindow{10});  // the stream is as it was
  CHECK(rig.stop().handed_back == std::vector{1, 2, 3});
}

TEST_CASE("scenario 13: close on a pool that was shut down meanwhile hands back, and does not hang",
          "[scenario]") {
  Stream<int> stream;
  ThreadPool pool{1};
  auto consumer = streaming(stream, CountWindow{10}, [](Window<int>&) {}, {.executor = pool});
  pool.stop();
  for (int i = 1; i <= 3; ++i) REQUIRE(stream.append(i) == AppendResult::accepted);
  const auto result = consumer.close();
  CHECK(result.delivered == 0);
  CHECK(result.handed_back == std::vector{1, 2, 3});
  CHECK(consumer.stats().balances());
}

TEST_CASE("scenario 13: an executor that refuses is reported, and its window is handed back",
          "[scenario]") {
  struct ShutDown {
    int asked = 0;
    void execute(Task) {
      ++asked;
      throw ExecutorError("shut down");
    }
  };
  testing::ManualClock clock;
  ShutDown executor;
  Stream<int> stream({.clock = clock});
  std::vector<BackgroundError> errors;
  Engine<int> engine(stream, CountWindow{3}, [](Window<int>&) { FAIL("nobody runs this"); },
                     {.executor = executor,
                      .on_error = [&](const BackgroundError& error) { errors.push_back(error); }});
  for (int i = 1; i <= 3; ++i) REQUIRE(stream.append(i) == AppendResult::accepted);
  const TimePoint next = engine.step(clock.now());
  CHECK(executor.asked == 1);
  CHECK(next > clock.now());  // it tries again, but does not spin
  REQUIRE(!errors.empty());
  for (const auto& error : errors) CHECK(error.where == BackgroundError::Where::executor);
  CHECK(engine.stats().in_flight == 3);
  CHECK(engine.stop().handed_back == std::vector{1, 2, 3});
  CHECK(engine.stats().balances());
}

TEST_CASE("scenario 13: a consumer left to its executor ends with it, and nothing is kept",
          "[scenario]") {
  const bool pool_of_threads = GENERATE(false, true);
  const auto kept = std::make_shared<int>(0);
  Stream<std::shared_ptr<int>> stream;
  std::optional<Consumer<std::shared_ptr<int>>> consumer;
  const auto begin = [&](auto& executor) {
    consumer.emplace(streaming(stream, CountWindow{1},
                               [&consumer, kept](const Window<std::shared_ptr<int>>& window) {
                                 if (window.sequence() == 0) consumer.reset();
                               },
                               {.executor = executor}));
    for (int i = 0; i < 5; ++i) (void)stream.append(kept);
  };
  if (pool_of_threads) {
    ThreadPool pool(2);
    begin(pool);
    while (stream.append(kept) == AppendResult::accepted) std::this_thread::yield();
  } else {
    testing::ManualExecutor executor;
    begin(executor);
    while (consumer) (void)executor.step();
  }
  CHECK(stream.append(kept) == AppendResult::closed);
  CHECK(kept.use_count() == 1);
}
