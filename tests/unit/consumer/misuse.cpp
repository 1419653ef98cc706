#include "support/catch.hpp"

#include <microbatch/microbatch.hpp>
#include <microbatch/testing/manual_clock.hpp>
#include <microbatch/testing/manual_executor.hpp>

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

using namespace microbatch;
using namespace std::chrono_literals;

namespace {

struct Rig {
  testing::ManualClock clock;
  testing::ManualExecutor executor;
  Stream<int> stream;
  explicit Rig(StreamOptions<> options = {}) : stream((options.clock = clock, options)) {}
};

/// What f throws, as a UsageError's text; "" when it throws none.
template <class F>
std::string usage_error(F&& f) {
  try {
    f();
  } catch (const UsageError& error) {
    return error.what();
  }
  return "";
}

}  // namespace

TEST_CASE("flush and close from inside the own callback are errors of use", "[misuse]") {
  Rig rig;
  std::optional<Consumer<int>> consumer;
  std::vector<std::string> texts;
  consumer.emplace(streaming(rig.stream, CountWindow{1},
                             [&](Window<int>&) {
                               texts.push_back(usage_error([&] { consumer->flush(); }));
                               texts.push_back(usage_error([&] { (void)consumer->flush(1s); }));
                               texts.push_back(usage_error([&] { (void)consumer->close(); }));
                               texts.push_back(usage_error([&] { (void)consumer->close(1s); }));
                             },
                             {.executor = rig.executor}));
  rig.stream.append(1);
  rig.executor.run_ready();
  REQUIRE(texts.size() == 4);
  for (const auto& text : texts) CHECK_THAT(text, ContainsSubstring("callback"));
  CHECK_THAT(texts[0], ContainsSubstring("flush"));
  CHECK_THAT(texts[2], ContainsSubstring("close"));
  CHECK(consumer->stats().delivered == 1);
}

TEST_CASE("stop from inside the own callback gives up the rest", "[misuse]") {
  Rig rig;
  std::optional<Consumer<int>> consumer;
  CloseResult<int> result;
  consumer.emplace(streaming(rig.stream, CountWindow{2},
                             [&](Window<int>&) { result = consumer->stop(); },
                             {.executor = rig.executor}));
  for (int i = 0; i < 5; ++i) rig.stream.append(i);
  rig.executor.run_ready();
  CHECK(result.abandoned == 2);
  CHECK(result.handed_back == std::vector{2, 3, 4});
  CHECK(consumer->stats().balances());
  CHECK(rig.stream.append(1) == AppendResult::closed);
}

TEST_CASE("appends, flushes and closes after the end are defined", "[misuse]") {
  Rig rig;
  auto consumer =
      streaming(rig.stream, CountWindow{2}, [](Window<int>&) {}, {.executor = rig.executor});
  for (int i = 0; i < 3; ++i) rig.stream.append(i);
  const auto first = consumer.close();
  CHECK(first.delivered == 3);
  CHECK(rig.stream.append(4) == AppendResult::closed);
  CHECK_NOTHROW(consumer.flush());
  CHECK(consumer.flush(1s));
  CHECK(consumer.close().delivered == 3);
  CHECK(consumer.close(1s).delivered == 3);
  CHECK(consumer.stop().delivered == 3);
  CHECK(consumer.stop().handed_back.empty());
  rig.stream.close();
}

TEST_CASE("a moved-from consumer is an error of use, and its destructor does nothing", "[misuse]") {
  Rig rig;
  auto consumer =
      streaming(rig.stream, CountWindow{2}, [](Window<int>&) {}, {.executor = rig.executor});
  Consumer<int> taken = std::move(consumer);
  CHECK_THROWS_AS(consumer.flush(), UsageError);  // NOLINT
  CHECK_THROWS_AS(consumer.close(), UsageError);
  CHECK_THROWS_AS((void)consumer.stats(), UsageError);
  rig.stream.append(1);
  CHECK(taken.close().delivered == 1);
}

TEST_CASE("a callback may throw what is no exception", "[misuse]") {
  Rig rig;
  std::vector<DeadLetter<int>> letters;
  auto consumer = streaming(
      rig.stream, CountWindow{1}, [](Window<int>&) { throw 42; },
      {.executor = rig.executor, .on_failure = {.max_attempts = 1, .isolate = Isolate::always}});
  rig.stream.append(7);
  rig.executor.run_ready();
  letters = consumer.take_dead_letters();
  REQUIRE(letters.size() == 1);
  CHECK(letters[0].item == 7);
  CHECK_FALSE(letters[0].error.empty());
  CHECK_THROWS_AS(std::rethrow_exception(letters[0].exception), int);
}

TEST_CASE("an error handler and a dead-letter handler that throw harm nobody", "[misuse]") {
  Rig rig;
  int told = 0;
  auto consumer =
      streaming(rig.stream, CountWindow{1},
                [](Window<int>& window) {
                  if (window[0] == 1) throw std::runtime_error("one");
                },
                {.executor = rig.executor,
                 .dead_letters = [](DeadLetter<int>&) { throw std::runtime_error("no letters"); },
                 .on_failure = {.max_attempts = 1, .isolate = Isolate::always},
                 .on_error =
                     [&](const BackgroundError&) {
                       ++told;
                       throw std::runtime_error("no errors");
                     }});
  for (int i = 0; i < 4; ++i) rig.stream.append(i);
  rig.executor.run_ready();
  const auto result = consumer.close();
  CHECK(result.delivered == 3);
  CHECK(result.dead_lettered == 1);
  CHECK(told == 2);                                 // the callback, and the handler of dead letters
  CHECK(consumer.take_dead_letters().size() == 1);  // kept, as if there were no handler
}

TEST_CASE("a retry sees what the callback left in its window", "[misuse]") {
  Rig rig;
  std::vector<int> seen;
  auto consumer = streaming(rig.stream, CountWindow{1},
                            [&](Window<int>& window) {
                              seen.push_back(window[0]);
                              if (++window[0] < 3) throw TransientError("again");
                            },
                            {.executor = rig.executor});
  rig.stream.append(1);
  for (int i = 0; i < 5; ++i) {
    rig.executor.run_ready();
    rig.clock.advance(40s);
  }
  CHECK(seen == std::vector{1, 2});
}

TEST_CASE("an append from a callback to its own full stream is answered, not blocked", "[misuse]") {
  Rig rig({.capacity = 2});
  std::vector<AppendResult> answers;
  auto consumer = streaming(rig.stream, CountWindow{2},
                            [&](Window<int>&) {
                              answers.push_back(rig.stream.append(9));
                              answers.push_back(rig.stream.append_for(9, 1h));
                              answers.push_back(rig.stream.try_append(9));
                            },
                            {.executor = rig.executor});
  rig.stream.append(1);
  rig.stream.append(2);
  rig.executor.run_ready();
  CHECK(answers == std::vector{AppendResult::would_deadlock, AppendResult::would_deadlock,
                               AppendResult::full});
  CHECK(rig.stream.stats().refused_would_deadlock == 2);
  CHECK(rig.stream.stats().delivered == 2);
}

TEST_CASE("rejecting an item that is not in the window is refused by index", "[misuse]") {
  Rig rig;
  std::string text;
  auto consumer = streaming(rig.stream, CountWindow{2},
                            [&](Window<int>& window) {
                              try {
                                window.reject(2, "x");
                              } catch (const std::out_of_range& error) {
                                text = error.what();
                              }
                              window.reject(1, "twice");
                              window.reject(1, "twice");
                            },
                            {.executor = rig.executor});
  rig.stream.append(1);
  rig.stream.append(2);
  rig.executor.run_ready();
  CHECK_THAT(text, ContainsSubstring("index 2") && ContainsSubstring("window of 2"));
  CHECK(consumer.stats().delivered == 1);
  CHECK(consumer.stats().dead_lettered == 1);
}

TEST_CASE("waiting on a manual clock for time that nobody moves is an error of use", "[misuse]") {
  Rig rig;
  bool down = true;
  auto consumer = streaming(rig.stream, CountWindow{1},
                            [&](Window<int>&) {
                              if (down) throw TransientError("down");
                            },
                            {.executor = rig.executor});
  rig.stream.append(1);
  rig.executor.run_ready();
  CHECK_THROWS_AS(consumer.flush(), UsageError);
  CHECK_THROWS_AS(consumer.close(), UsageError);
  down = false;
  rig.clock.advance(1min);
  CHECK(consumer.close().delivered == 1);
}

// Such a window was once counted as abandoned, and its callback called after stop() had returned.
TEST_CASE("stop hands back a window whose callback has not begun", "[misuse]") {
  Rig rig;
  int calls = 0;
  auto consumer = streaming(rig.stream, CountWindow{3}, [&](Window<int>&) { ++calls; },
                            {.executor = rig.executor});
  for (int i = 0; i < 4; ++i) rig.stream.append(i);
  REQUIRE(rig.executor.step());
  REQUIRE(consumer.stats().in_flight == 3);
  const auto result = consumer.stop();
  CHECK(result.handed_back == std::vector{0, 1, 2, 3});
  CHECK(result.abandoned == 0);
  rig.executor.run_ready();
  CHECK(calls == 0);
}

// Both once waited for ever: nobody was left to take the consumer's turns.
TEST_CASE("a pool that was stopped under a consumer hands the rest back", "[misuse]") {
  const bool destroyed = GENERATE(false, true);
  Stream<int> stream;
  auto pool = std::make_unique<ThreadPool>(1);
  auto consumer = streaming(stream, CountWindow{10}, [](Window<int>&) {}, {.executor = *pool});
  for (int i = 0; i < 3; ++i) stream.append(i);
  pool->stop();
  if (destroyed) pool.reset();
  CHECK_THROWS_AS(consumer.flush(), ExecutorError);
  const auto result = consumer.close();
  CHECK(result.delivered + result.handed_back.size() == 3);
  CHECK(consumer.stats().balances());
}

// It once waited for ever for the worker that it occupied.
TEST_CASE("closing another consumer of the same one-worker pool from a callback ends", "[misuse]") {
  ThreadPool pool(1);
  Stream<int> first;
  Stream<int> second;
  auto other = streaming(second, CountWindow{10}, [](Window<int>&) {}, {.executor = pool});
  second.append(1);
  std::atomic<bool> refused{false};
  auto consumer = streaming(first, CountWindow{1},
                            [&](Window<int>&) {
                              try {
                                (void)other.close();
                              } catch (const UsageError&) {
                                refused = true;
                              }
                            },
                            {.executor = pool});
  first.append(1);
  CHECK(consumer.close().delivered == 1);
  CHECK(refused);
  CHECK(other.close().delivered == 1);
}

TEST_CASE("a task that an executor destroys unrun is told, and its window is not lost",
          "[misuse]") {
  struct Loser {
    void execute(const Task&) {}
  };
  struct Refuser {
    void execute(const Task&) { throw std::runtime_error("no room for tasks"); }
  };
  std::atomic<int> told{0};
  const auto try_with = [&](auto executor) {
    Stream<int> stream;
    auto consumer = streaming(stream, CountWindow{2}, [](Window<int>&) {},
                              {.executor = executor, .on_error = [&](const BackgroundError& e) {
                                 if (e.where == BackgroundError::Where::executor) ++told;
                               }});
    for (int i = 0; i < 3; ++i) stream.append(i);
    const auto result = consumer.close(10s);
    CHECK(result.handed_back.size() == 3);
    CHECK(consumer.stats().balances());
  };
  Loser loser;
  Refuser refuser;
  try_with(&loser);
  try_with(&refuser);
  CHECK(told >= 2);
}
