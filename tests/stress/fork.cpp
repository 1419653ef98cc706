// Forks of a process with live streams, while its producers append and its consumers deliver.
//
// Allowed in the parent: everything as without forks. Allowed in a child: every call on its copies
// answers `forked`, throws UsageError or ExecutorError, or does nothing; new streams work.
// Forbidden: an item that the parent accepted is delivered twice or never; a call or a destructor
// in a child that hangs; a callback that runs in a child.

#include <microbatch/microbatch.hpp>

#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <memory>
#include <optional>
#include <stop_token>
#include <thread>
#include <vector>

#include "support/catch.hpp"
#include "support/stress.hpp"

using namespace microbatch;
using namespace std::chrono_literals;

namespace {

#ifdef MICROBATCH_THREAD_SANITIZER
[[maybe_unused]] constexpr bool may_start_threads = false;  // the sanitizer ends a child that does
#else
[[maybe_unused]] constexpr bool may_start_threads = true;
#endif

// The address sanitizer's allocator has locks of its own that a child inherits locked (gcc 12, LLVM
// 16): there, nothing can be said of a child that was forked while another thread allocated.
#if defined(__SANITIZE_ADDRESS__)
#define MICROBATCH_CHILDREN_MAY_ALLOCATE 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define MICROBATCH_CHILDREN_MAY_ALLOCATE 0
#endif
#endif
#ifndef MICROBATCH_CHILDREN_MAY_ALLOCATE
#define MICROBATCH_CHILDREN_MAY_ALLOCATE 1
#endif

/// Runs f in a forked child; its answer, or -1 where it did not come to an end.
template <class F>
int in_child(F f) {
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    alarm(20);  // a hang becomes a signal
    int answer = 99;
    try {
      answer = f();
    } catch (...) {
    }
    _exit(answer);
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

template <class Error, class F>
bool throws(F f) {
  try {
    f();
  } catch (const Error&) {
    return true;
  } catch (...) {
  }
  return false;
}

}  // namespace

#if MICROBATCH_CHILDREN_MAY_ALLOCATE
TEST_CASE("a forked child's calls are errors, and the parent's items are delivered once",
          "[fork]") {
  const pid_t parent = getpid();
  std::atomic<std::uint64_t> delivered{0};
  std::atomic<bool> ran_in_child{false};
  auto pool = std::make_unique<ThreadPool>(2);
  Stream<std::uint64_t> stream({.capacity = 4096, .arrival_stamps = true});
  std::optional<Consumer<std::uint64_t>> consumer(
      streaming(stream, any_of(CountWindow{64}, MaxAgeWindow{1ms}),
                [&](Window<std::uint64_t>& window) {
                  if (getpid() != parent) ran_in_child = true;
                  delivered += window.size();
                },
                {.executor = *pool}));
  Stream<int> own({.name = "own"});
  auto own_consumer =
      std::make_unique<Consumer<int>>(streaming(own, CountWindow{1000}, [](Window<int>&) {}));
  auto own_stepped = std::make_unique<Stream<int>>();
  Engine<int> engine(*own_stepped, CountWindow{1}, [&](Window<int>&) {
    if (getpid() != parent) ran_in_child = true;
  });
  REQUIRE(own.append(1) == AppendResult::accepted);  // pending when we fork
  REQUIRE(own_stepped->append(1) == AppendResult::accepted);
  auto producer = own.producer();

  std::atomic<std::uint64_t> accepted{0};
  std::vector<std::jthread> producers;
  for (int p = 0; p < 2; ++p)
    producers.emplace_back([&](std::stop_token stop) {
      while (!stop.stop_requested()) {
        std::uint64_t n = 0;
        for (; n < 100 && stream.append(n) == AppendResult::accepted;) ++n;
        accepted += n;
        std::this_thread::sleep_for(100us);
      }
    });

  const std::size_t forks = stress::scaled(30);
  for (std::size_t i = 0; i < forks; ++i) {
    const int answer = in_child([&] {
      int step = 1;  // the first one that fails is the child's answer
      const auto expect = [&](bool good) {
        if (step > 0 && !good) step = -step;
        if (step > 0) ++step;
      };
      expect(stream.append(1) == AppendResult::forked);
      expect(own.append(1) == AppendResult::forked);
      expect(own.try_append(1) == AppendResult::forked);
      expect(own.append_for(1, 1s) == AppendResult::forked);
      expect(own.append_range(std::vector{1, 2}) ==
             RangeResult{.result = AppendResult::forked, .accepted = 0});
      expect(producer.append(1) == AppendResult::forked);
      expect(throws<UsageError>([&] { (void)own.producer(); }));
      expect(throws<UsageError>([&] { (void)own.stats(); }));
      expect(throws<UsageError>([&] { (void)consumer->stats(); }));
      expect(throws<UsageError>([&] { consumer->flush(); }));
      expect(throws<UsageError>([&] { (void)consumer->close(1s); }));
      expect(throws<UsageError>([&] { (void)consumer->stop(); }));
      expect(throws<UsageError>([&] { (void)engine.step(TimePoint::clock::now()); }));
      expect(throws<UsageError>([&] { (void)engine.stop(); }));
      expect(throws<ExecutorError>([&] { pool->execute([] {}); }));
      own.close();
      consumer.reset();
      own_consumer.reset();
      pool.reset();
      const auto ended = std::make_unique<Engine<int>>(std::move(engine));
      own_stepped.reset();
      if (may_start_threads) {  // a new one works
        std::uint64_t got = 0;
        Stream<int> fresh;
        auto again = streaming(fresh, CountWindow{2}, [&](Window<int>& w) { got += w.size(); });
        for (int k = 0; k < 100; ++k) expect(fresh.append(k) == AppendResult::accepted);
        expect(again.close().delivered == 100);
        expect(got == 100);
      }
      expect(!ran_in_child);
      return step > 0 ? 0 : -step;
    });
    REQUIRE(answer == 0);
  }
  producers.clear();
  CHECK(consumer->close().delivered == accepted);
  CHECK(delivered == accepted);
  CHECK(own_consumer->close().delivered == 1);
  (void)engine.step(TimePoint::clock::now());
  CHECK(engine.stats().delivered == 1);
}
#endif

namespace {

std::unique_ptr<Stream<int>> rearmed;

}  // namespace

TEST_CASE("a handler of the program's own may make new streams in the child", "[fork]") {
  rearmed = std::make_unique<Stream<int>>();
  // Ours is registered by the first stream, so it has run before this one.
  pthread_atfork(nullptr, nullptr, [] { rearmed = std::make_unique<Stream<int>>(); });
  REQUIRE(rearmed->append(1) == AppendResult::accepted);
  CHECK(in_child([] {
          const bool armed = rearmed->append(2) == AppendResult::accepted;
          return armed && rearmed->stats().pending == 1 ? 0 : 1;
        }) == 0);
  CHECK(rearmed->stats().pending == 1);
  rearmed.reset();
}

TEST_CASE("a child that exits in the ordinary way does not hang in destructors", "[fork]") {
  static Stream<int> at_exit({.name = "static"});
  static auto consumer = streaming(at_exit, CountWindow{10}, [](Window<int>&) {});
  REQUIRE(at_exit.append(1) == AppendResult::accepted);
  const pid_t child = fork();
  if (child == 0) {
    alarm(20);
    std::exit(7);
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 7);
}
