// What becomes of results that a sink names as failed.

#include <microbatch/microbatch.hpp>
#include <microbatch/testing/manual_clock.hpp>
#include <microbatch/testing/manual_executor.hpp>

#include <algorithm>
#include <functional>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#include "support/catch.hpp"

using namespace microbatch;
using namespace std::chrono_literals;

namespace {

/// Takes every result but those for which an error is left.
struct Picky {
  std::map<int, std::vector<std::exception_ptr>> errors{};  // by result, one put after the other
  std::vector<std::vector<int>> puts{};
  std::vector<int> taken{};

  PutErrors put(std::span<const int> results) {
    puts.emplace_back(results.begin(), results.end());
    PutErrors failed;
    for (std::size_t i = 0; i < results.size(); ++i) {
      auto& left = errors[results[i]];
      if (left.empty()) {
        taken.push_back(results[i]);
      } else {
        failed.push_back({i, left.front()});
        left.erase(left.begin());
      }
    }
    std::reverse(failed.begin(), failed.end());  // in any order
    return failed;
  }
};

const auto refused = std::make_exception_ptr(std::runtime_error("refused"));
const auto busy = std::make_exception_ptr(TransientError("busy"));

/// Items 0..n-1 through one window.
struct Run {
  testing::ManualClock clock;
  testing::ManualExecutor executor{1};
  Stream<int> stream{{.clock = clock}};
  Picky sink;
  std::vector<int> dead;
  std::vector<BackgroundError> errors;
  int calls = 0;
  CloseResult<int> closed;

  template <class F>
  void go(int n, F callback, Order order = Order::sequential) {
    using R = callback_result_t<int, F>;
    auto consumer = streaming(
        stream, CountWindow{static_cast<std::size_t>(n)},
        [&](Window<int>& window) {
          ++calls;
          return callback(window);
        },
        ConsumerOptions<int, R>{
            .executor = executor,
            .order = order,
            .sink = std::ref(sink),
            .dead_letters = [&](DeadLetter<int>& letter) { dead.push_back(letter.item); },
            .on_error = [&](const BackgroundError& e) { errors.push_back(e); }});
    for (int i = 0; i < n; ++i) stream.append(i);
    for (int step = 0; step < 100; ++step) {
      executor.run_ready();
      clock.advance(1s);
    }
    const Stats stats = consumer.stats();
    CHECK(stats.in_flight == 0);
    closed = consumer.close(0s);
    CHECK(consumer.stats().balances());
  }
};

std::vector<int> ten_times(Window<int>& window) {
  std::vector<int> results;
  for (const int item : window) results.push_back(10 * item);
  return results;
}

}  // namespace

TEST_CASE("a result that the sink names ends its item, and no other", "[sink]") {
  const auto order = GENERATE(Order::sequential, Order::committed_in_order, Order::unordered);
  Run run;
  run.sink.errors[20] = {refused};
  run.sink.errors[40] = {refused};
  run.go(5, ten_times, order);
  CHECK(run.dead == std::vector{2, 4});
  CHECK(run.sink.taken == std::vector{0, 10, 30});
  CHECK(run.sink.puts.size() == 1);
  CHECK(run.calls == 1);
  CHECK(run.closed.delivered == 3);
  CHECK(run.closed.dead_lettered == 2);
}

TEST_CASE("a result with a transient error is put again, alone and without a new call", "[sink]") {
  Run run;
  run.sink.errors[10] = {busy, busy};
  run.sink.errors[20] = {busy};
  run.sink.errors[40] = {busy, refused};
  run.go(5, ten_times);
  CHECK(run.sink.puts == std::vector<std::vector<int>>{{0, 10, 20, 30, 40}, {10, 20}, {40}, {10}});
  CHECK(run.sink.taken == std::vector{0, 30, 20, 10});
  CHECK(run.dead == std::vector{4});
  CHECK(run.calls == 1);
  CHECK(run.closed.delivered == 4);
}

TEST_CASE("results belong to the items that the callback did not reject", "[sink]") {
  Run run;
  run.sink.errors[30] = {refused};
  run.go(5, [](Window<int>& window) {
    std::vector<int> results;
    for (std::size_t i = 0; i < window.size(); ++i) {
      if (i == 0 || i == 2)
        window.reject(i, "no result");
      else
        results.push_back(10 * window[i]);
    }
    return results;
  });
  std::sort(run.dead.begin(), run.dead.end());
  CHECK(run.dead == std::vector{0, 2, 3});
  CHECK(run.sink.taken == std::vector{10, 40});
  CHECK(run.closed.delivered == 2);
}

TEST_CASE("where results are not one per item, a failed one is put again", "[sink]") {
  Run run;
  run.sink.errors[2] = {refused, refused};
  run.go(5, [](Window<int>&) { return std::vector{1, 2, 3}; });
  CHECK(run.sink.puts == std::vector<std::vector<int>>{{1, 2, 3}, {2}, {2}});
  CHECK(run.dead.empty());
  CHECK(run.calls == 1);
  CHECK(run.closed.delivered == 5);
}

TEST_CASE("an error for a result that was not put is reported, and nothing is lost", "[sink]") {
  struct Wrong {
    int puts = 0;
    PutErrors put(std::span<const int>) {
      if (++puts > 1) return {};
      return {{.index = 5, .error = refused}};
    }
  };
  testing::ManualClock clock;
  testing::ManualExecutor executor{1};
  Stream<int> stream({.clock = clock});
  Wrong sink;
  std::vector<std::string> errors;
  ConsumerOptions<int, int> options{
      .executor = executor, .sink = std::ref(sink), .on_error = [&](const BackgroundError& e) {
        errors.push_back(e.text);
      }};
  auto consumer = streaming(stream, CountWindow{2}, ten_times, std::move(options));
  stream.append(1);
  stream.append(2);
  executor.run_ready();
  clock.advance(1s);
  executor.run_ready();
  CHECK(errors == std::vector<std::string>{"Sink::put returned an error for result 5 of 2"});
  CHECK(sink.puts == 2);
  CHECK(consumer.close(0s).delivered == 2);
}

TEST_CASE("a drain that gives up on a put buries what was not put, and delivers the rest",
          "[sink]") {
  testing::ManualClock clock;
  testing::ManualExecutor executor{1};
  Stream<int> stream({.clock = clock});
  Picky sink;
  sink.errors[20] = std::vector(100, busy);
  std::vector<int> dead;
  ConsumerOptions<int, int> options{
      .executor = executor,
      .sink = std::ref(sink),
      .dead_letters = [&](DeadLetter<int>& letter) { dead.push_back(letter.item); },
      .on_failure = {.max_transient_attempts = 3, .first_delay = 0ns}};
  auto consumer = streaming(stream, CountWindow{4}, ten_times, std::move(options));
  for (int i = 0; i < 4; ++i) stream.append(i);
  const auto closed = consumer.close();
  CHECK(dead == std::vector{2});
  CHECK(closed.delivered == 3);
  CHECK(closed.dead_lettered == 1);
}
