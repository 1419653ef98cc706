#include "support/catch.hpp"

#include <microbatch/microbatch.hpp>
#include <microbatch/testing/manual_clock.hpp>
#include <microbatch/testing/manual_executor.hpp>

#include <functional>
#include <limits>
#include <memory>
#include <string>

using namespace microbatch;
using namespace std::chrono_literals;

namespace {

/// The text of the ConfigError that f throws; a failure when it throws none.
template <class F>
std::string config_error(F&& f) {
  try {
    f();
  } catch (const ConfigError& error) {
    return error.what();
  }
  FAIL_CHECK("no ConfigError");
  return "";
}

void nothing(Window<int>&) {}

}  // namespace

TEST_CASE("a stream option that cannot work is named with its value and what was expected",
          "[config]") {
  const auto text = [](StreamOptions<int> options) {
    return config_error([&] { Stream<int> stream(std::move(options)); });
  };
  CHECK_THAT(text({.capacity = 0}), ContainsSubstring("StreamOptions.capacity") &&
                                        ContainsSubstring("from 1 to") &&
                                        ContainsSubstring("got 0"));
  CHECK_THAT(text({.capacity = static_cast<std::size_t>(-1)}),
             ContainsSubstring("StreamOptions.capacity") && ContainsSubstring("negative"));
  CHECK_THAT(text({.capacity = std::numeric_limits<std::size_t>::max() / 2}),
             ContainsSubstring("StreamOptions.capacity"));
  CHECK_THAT(text({.max_bytes = 0}), ContainsSubstring("StreamOptions.max_bytes"));
  CHECK_THAT(text({.max_bytes = 10}), ContainsSubstring("StreamOptions.weight"));
  CHECK_THAT(text({.expire_after = 0s}), ContainsSubstring("StreamOptions.expire_after"));
  CHECK_THAT(text({.expire_after = -1ns}),
             ContainsSubstring("StreamOptions.expire_after") && ContainsSubstring("-1"));
  CHECK_THAT(text({.name = std::string("a\0b", 3)}), ContainsSubstring("StreamOptions.name"));
  CHECK_THAT(text({.name = std::string(4096, 'n')}),
             ContainsSubstring("StreamOptions.name") && ContainsSubstring("4096"));
  Clock* no_clock = nullptr;
  CHECK_THAT(config_error([&] { Stream<int> stream({.clock = no_clock}); }),
             ContainsSubstring("StreamOptions.clock") && ContainsSubstring("null"));
}

TEST_CASE("odd names of streams are only names", "[config]") {
  for (const std::string name : {"", "..", "a/../../etc", "two\nlines", "'quotes'", "\"quotes\""})
    CHECK(Stream<int>({.name = name}).name() == name);
}

TEST_CASE("the size of a count window must be positive and fit the stream", "[config]") {
  CHECK_THAT(config_error([] { CountWindow{0}; }),
             ContainsSubstring("CountWindow: size") && ContainsSubstring("got 0"));
  CHECK_THAT(config_error([] { CountWindow{static_cast<std::size_t>(-1)}; }),
             ContainsSubstring("CountWindow: size") && ContainsSubstring("negative"));
  CountWindow window{3};
  CHECK_THROWS_AS(window.set_size(0), ConfigError);
  CHECK(window.size() == 3);

  Stream<int> stream({.capacity = 8});
  CHECK_THAT(config_error([&] { (void)streaming(stream, CountWindow{9}, nothing); }),
             ContainsSubstring("9") && ContainsSubstring("capacity") && ContainsSubstring("8"));
  // The stream is not spoilt by it.
  auto consumer = streaming(stream, CountWindow{8}, nothing);
  CHECK(stream.append(1) == AppendResult::accepted);
  CHECK(consumer.close().delivered == 1);
}

TEMPLATE_TEST_CASE("an interval must be above zero and have an end", "[config]", FixedTimeWindow,
                   RelaxedTimeWindow, PeriodWindow, MaxAgeWindow) {
  CHECK_THAT(config_error([] { TestType{0s}; }), ContainsSubstring("got 0"));
  CHECK_THAT(config_error([] { TestType{-5s}; }), ContainsSubstring("-5"));
  CHECK_THROWS_AS(TestType{std::chrono::hours::max()}, ConfigError);
  CHECK_THROWS_AS(TestType{std::chrono::nanoseconds::min()}, ConfigError);
  using Seconds = std::chrono::duration<double>;
  CHECK_THROWS_AS(TestType{Seconds(std::numeric_limits<double>::quiet_NaN())}, ConfigError);
  CHECK_THROWS_AS(TestType{Seconds(std::numeric_limits<double>::infinity())}, ConfigError);
  CHECK_NOTHROW(TestType{1ns});
  CHECK_NOTHROW(TestType{Seconds(0.5)});
}

TEST_CASE("a weight window's limit must be positive", "[config]") {
  const auto weigh = [](const int& i) { return i; };
  CHECK_THROWS_AS(WeightWindow(0, weigh), ConfigError);
  CHECK_THROWS_AS(WeightWindow(static_cast<std::uint64_t>(-1), weigh), ConfigError);
}

TEST_CASE("a pool needs from 1 to 1024 workers", "[config]") {
  CHECK_THAT(config_error([] { ThreadPool{0}; }),
             ContainsSubstring("workers") && ContainsSubstring("got 0"));
  CHECK_THAT(config_error([] { ThreadPool{1'000'000}; }), ContainsSubstring("got 1000000"));
}

TEST_CASE("a thread hook that throws comes out of the pool's constructor", "[config]") {
  const std::size_t which = GENERATE(as<std::size_t>{}, 0, 2);
  CHECK_THROWS_WITH(ThreadPool(ThreadPoolOptions{.workers = 3,
                                                 .on_thread_start =
                                                     [&](std::size_t i) {
                                                       if (i == which)
                                                         throw std::runtime_error("hook");
                                                     }}),
                    "hook");
}

TEST_CASE("an empty callback is refused before anything starts", "[config]") {
  Stream<int> stream;
  const std::function<void(Window<int>&)> empty;
  CHECK_THAT(config_error([&] { (void)streaming(stream, CountWindow{1}, empty); }),
             ContainsSubstring("callback"));
  void (*null)(Window<int>&) = nullptr;
  CHECK_THAT(config_error([&] { (void)streaming(stream, CountWindow{1}, null); }),
             ContainsSubstring("callback"));
  auto consumer = streaming(stream, CountWindow{1}, nothing);  // the stream has none yet
}

TEST_CASE("a null executor is refused by name", "[config]") {
  ThreadPool* none = nullptr;
  CHECK_THAT(config_error([&] { ConsumerOptions<> options{.executor = none}; }),
             ContainsSubstring("ConsumerOptions.executor") && ContainsSubstring("null"));
  CHECK_THAT(
      config_error([&] { ConsumerOptions<> options{.executor = std::shared_ptr<ThreadPool>()}; }),
      ContainsSubstring("ConsumerOptions.executor"));
}

TEST_CASE("a consumer option that cannot work is named", "[config]") {
  Stream<int> stream;
  const auto text = [&](ConsumerOptions<> options) {
    return config_error([&] { (void)streaming(stream, CountWindow{1}, nothing, options); });
  };
  CHECK_THAT(text({.max_in_flight = 2}), ContainsSubstring("ConsumerOptions.max_in_flight is 2") &&
                                             ContainsSubstring("sequential"));
  CHECK_THAT(text({.max_in_flight = static_cast<std::size_t>(-1), .order = Order::unordered}),
             ContainsSubstring("max_in_flight") && ContainsSubstring("negative"));
  CHECK_THAT(text({.on_failure = {.max_attempts = 0}}),
             ContainsSubstring("on_failure.max_attempts"));
  CHECK_THAT(text({.on_failure = {.max_transient_attempts = 0}}),
             ContainsSubstring("on_failure.max_transient_attempts"));
  CHECK_THAT(text({.on_failure = {.first_delay = -1ns}}),
             ContainsSubstring("on_failure.first_delay") && ContainsSubstring("-1"));
  CHECK_THAT(text({.on_failure = {.first_delay = 2s, .max_delay = 1s}}),
             ContainsSubstring("on_failure.max_delay"));
  CHECK_THAT(text({.on_failure = {.jitter = 1.5}}),
             ContainsSubstring("on_failure.jitter") && ContainsSubstring("1.5"));
  CHECK_THAT(text({.on_failure = {.jitter = std::numeric_limits<double>::quiet_NaN()}}),
             ContainsSubstring("on_failure.jitter"));
  CHECK_THAT(text({.on_failure = {.recently = -1s}}), ContainsSubstring("on_failure.recently"));
}

TEST_CASE("a second consumer, and one on a closed stream, are errors of use", "[config]") {
  Stream<int> stream;
  auto consumer = streaming(stream, CountWindow{1}, nothing);
  CHECK_THROWS_AS((void)streaming(stream, CountWindow{1}, nothing), UsageError);
  consumer.close();
  CHECK_THROWS_AS((void)streaming(stream, CountWindow{1}, nothing), UsageError);
  Stream<int> closed;
  closed.close();
  CHECK_THROWS_AS((void)streaming(closed, CountWindow{1}, nothing), UsageError);
}

TEST_CASE("a fixed window on a stream that holds unstamped items is refused", "[config]") {
  Stream<int> stream;
  stream.append(1);
  CHECK_THAT(config_error([&] { (void)streaming(stream, FixedTimeWindow{1s}, nothing); }),
             ContainsSubstring("stamps"));
  Stream<int> stamped({.arrival_stamps = true});
  stamped.append(1);
  auto consumer = streaming(stamped, FixedTimeWindow{1s}, nothing);
  CHECK(consumer.close().delivered == 1);
}

TEST_CASE("a stopped pool takes no consumer", "[config]") {
  Stream<int> stream;
  ThreadPool pool(1);
  pool.stop();
  CHECK_THROWS_AS((void)streaming(stream, CountWindow{1}, nothing, {.executor = pool}),
                  ExecutorError);
  CHECK_THROWS_AS(pool.execute([] {}), ExecutorError);
  auto consumer = streaming(stream, CountWindow{1}, nothing);
  CHECK(stream.append(1) == AppendResult::accepted);
}
