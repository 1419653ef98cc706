#include <microbatch/async_windows.hpp>

#include <coroutine>
#include <semaphore>
#include <stdexcept>
#include <thread>
#include <vector>

#include "support/detached.hpp"
#include "support/rig.hpp"

using namespace microbatch;
using namespace std::chrono_literals;

namespace {

using Taken = std::vector<std::vector<int>>;

std::vector<int> items(const Window<int>& window) { return {window.begin(), window.end()}; }

test::Detached take_all(AsyncWindows<int>& windows, Taken& taken, bool& ended) {
  while (auto window = co_await windows.next()) taken.push_back(items(*window));
  ended = true;
}

/// A stream in virtual time, with windows of two.
struct Pairs {
  testing::ManualClock clock;
  testing::ManualExecutor executor;
  Stream<int> stream{{.capacity = 64, .clock = clock}};

  void append(int from, int to) {
    for (int i = from; i <= to; ++i) REQUIRE(stream.append(i) == AppendResult::accepted);
  }
};

/// Goes on on a thread of its own.
struct Elsewhere {
  std::jthread& thread;
  [[nodiscard]] bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> coroutine) {
    std::jthread& there = thread;  // the coroutine, and this with it, may be gone at once
    there = std::jthread([coroutine] { coroutine.resume(); });
  }
  void await_resume() const noexcept {}
};

}  // namespace

TEST_CASE("a coroutine awaits window after window, and none behind the last one", "[coroutine]") {
  Pairs pairs;
  Taken taken;
  bool ended = false;
  AsyncWindows<int> windows(pairs.stream, CountWindow{2}, {.executor = pairs.executor});
  take_all(windows, taken, ended);
  pairs.append(1, 5);
  pairs.executor.run_ready();
  CHECK(taken == Taken{{1, 2}, {3, 4}});
  CHECK_FALSE(ended);
  CHECK(windows.close().delivered == 5);
  CHECK(taken == Taken{{1, 2}, {3, 4}, {5}});
  CHECK(ended);
}

TEST_CASE("an exception that leaves a borrowed window makes the window fail and come again",
          "[coroutine]") {
  Pairs pairs;
  AsyncWindows<int> windows(pairs.stream, CountWindow{2},
                            {.executor = pairs.executor, .on_failure = {.first_delay = 1s}});
  std::vector<std::uint32_t> attempts;
  [](AsyncWindows<int>& from, std::vector<std::uint32_t>& seen) -> test::Detached {
    for (;;) {
      try {
        auto window = co_await from.next();
        if (!window) break;
        seen.push_back(window->attempt());
        if (seen.size() == 1) throw std::runtime_error("not yet");
      } catch (const std::runtime_error&) {
        continue;
      }
    }
  }(windows, attempts);
  pairs.append(1, 2);
  pairs.executor.run_ready();
  CHECK(attempts == std::vector<std::uint32_t>{1});
  pairs.clock.advance(1s);
  pairs.executor.run_ready();
  CHECK(attempts == std::vector<std::uint32_t>{1, 2});
  CHECK(windows.close().delivered == 2);
}

TEST_CASE("a window that a coroutine says has failed dies of that error", "[coroutine]") {
  Pairs pairs;
  AsyncWindows<int> windows(
      pairs.stream, CountWindow{2},
      {.executor = pairs.executor, .on_failure = {.max_attempts = 1, .isolate = Isolate::off}});
  [](AsyncWindows<int>& from) -> test::Detached {
    while (auto window = co_await from.next())
      window.fail(std::make_exception_ptr(std::runtime_error("no such table")));
  }(windows);
  pairs.append(1, 2);
  pairs.executor.run_ready();
  const auto letters = windows.consumer().take_dead_letters();
  REQUIRE(letters.size() == 2);
  CHECK(letters[0].error == "no such table");
}

TEST_CASE("a second coroutine that waits for windows is an error", "[coroutine]") {
  Pairs pairs;
  Taken taken;
  bool ended = false;
  AsyncWindows<int> windows(pairs.stream, CountWindow{2}, {.executor = pairs.executor});
  take_all(windows, taken, ended);
  bool refused = false;
  [](AsyncWindows<int>& from, bool& caught) -> test::Detached {
    try {
      (void)co_await from.next();
    } catch (const UsageError&) {
      caught = true;
    }
  }(windows, refused);
  CHECK(refused);
  CHECK_FALSE(ended);
}

TEST_CASE("a coroutine that waits hears of it when the windows go", "[coroutine]") {
  Pairs pairs;
  Taken taken;
  bool ended = false;
  {
    AsyncWindows<int> windows(pairs.stream, CountWindow{2}, {.executor = pairs.executor});
    take_all(windows, taken, ended);
    pairs.append(1, 1);
  }
  CHECK(ended);
  CHECK(taken.empty());
  CHECK(pairs.stream.stats().handed_back == 1);
}

TEST_CASE("a coroutine may own the windows, leave early, and never deadlocks itself",
          "[coroutine]") {
  Pairs pairs;
  std::vector<int> first;
  [](Pairs& from, std::vector<int>& taken) -> test::Detached {
    AsyncWindows<int> windows(from.stream, CountWindow{2}, {.executor = from.executor});
    auto window = co_await windows.next();
    taken = items(*window);
  }(pairs, first);
  pairs.append(1, 4);
  pairs.executor.run_ready();
  CHECK(first == std::vector{1, 2});
  CHECK(pairs.stream.append(5) == AppendResult::closed);
}

TEST_CASE("a window may be held over another await and end on another thread", "[coroutine]") {
  Stream<int> stream({.capacity = 64});
  std::binary_semaphore done(0);
  std::jthread thread;
  std::vector<int> taken;
  AsyncWindows<int> windows(stream, CountWindow{2});
  [](AsyncWindows<int>& from, std::jthread& other, std::vector<int>& seen,
     std::binary_semaphore& end) -> test::Detached {
    {
      auto window = co_await from.next();
      co_await Elsewhere{other};
      seen = items(*window);
    }
    end.release();
  }(windows, thread, taken, done);
  stream.append(1);
  stream.append(2);
  done.acquire();
  CHECK(taken == std::vector{1, 2});
  CHECK(windows.close(10s).delivered == 2);
}

TEST_CASE("closing with a timeout does not wait for a coroutine that takes no windows",
          "[coroutine]") {
  Stream<int> stream({.capacity = 64});
  AsyncWindows<int> windows(stream, CountWindow{2});
  stream.append(1);
  stream.append(2);
  const auto end = windows.close(20ms);
  CHECK(end.timed_out);
  CHECK(end.delivered == 0);
}
