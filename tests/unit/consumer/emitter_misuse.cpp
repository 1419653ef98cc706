#include "support/catch.hpp"

#include <microbatch/microbatch.hpp>
#include <microbatch/testing/manual_clock.hpp>
#include <microbatch/testing/manual_executor.hpp>

#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

using namespace microbatch;
using namespace std::chrono_literals;

namespace {

struct NeverReady {
  template <class T>
  Readiness window_ready(Pending<T>&, TimePoint) {
    return {};
  }
};
struct SaysNoToFlush : NeverReady {
  template <class T>
  Readiness flush(Pending<T>&, TimePoint) {
    return {};
  }
};
struct ThrowsWhenAsked {
  template <class T>
  Readiness window_ready(Pending<T>& pending, TimePoint) {
    if (!pending.empty()) throw std::runtime_error("asked");
    return {.at_items = 1};
  }
};
struct ThrowsInFlush : NeverReady {
  template <class T>
  Readiness flush(Pending<T>&, TimePoint) {
    throw std::runtime_error("flush");
  }
};
struct ThrowsInQuery : NeverReady {
  template <class T>
  void query(Pending<T>&, Draft<T>&, const Readiness&) {
    throw std::runtime_error("query");
  }
};
struct TakesNothing : NeverReady {
  template <class T>
  void query(Pending<T>&, Draft<T>&, const Readiness&) {}
};
struct TakesTooMuch : NeverReady {
  template <class T>
  void query(Pending<T>& pending, Draft<T>& draft, const Readiness&) {
    draft.take_front(pending.size() + 1);
  }
};
struct TakesTwice : NeverReady {
  template <class T>
  void query(Pending<T>&, Draft<T>& draft, const Readiness&) {
    draft.take(0);
    draft.take(0);
  }
};
struct ThrowsAtOnce {
  template <class T>
  Readiness window_ready(Pending<T>&, TimePoint) {
    throw std::runtime_error("at once");
  }
};
struct HidesInBuckets {
  std::optional<BucketId> bucket;
  template <class T>
  Readiness window_ready(Pending<T>& pending, TimePoint) {
    if (!bucket) bucket = pending.open_bucket();
    while (!pending.empty()) pending.route_front(*bucket);
    return {.at_items = pending.total() + 1};
  }
};
struct ThrowsOnEmit : NeverReady {
  template <class T>
  void on_emit(Draft<T>&, const Readiness&) {
    throw std::runtime_error("emit");
  }
};
struct ThrowsAtTheEnd : NeverReady {
  template <class T>
  void on_commit(Window<T>&) {
    throw std::runtime_error("commit");
  }
  template <class T>
  void on_undo(Window<T>&) {
    throw std::runtime_error("undo");
  }
};
struct InThePast {
  int* asked;
  template <class T>
  Readiness window_ready(Pending<T>&, TimePoint now) {
    ++*asked;
    return {.at = now - 1s};
  }
};

}  // namespace

TEMPLATE_TEST_CASE("close delivers everything, although the emitter errs", "[misuse]", NeverReady,
                   ThrowsWhenAsked, ThrowsInFlush, ThrowsInQuery, TakesTooMuch, TakesTwice,
                   ThrowsOnEmit, ThrowsAtTheEnd) {
  testing::ManualClock clock;
  testing::ManualExecutor executor;
  std::vector<int> seen;
  Stream<int> stream({.capacity = 16, .clock = clock});
  auto consumer =
      streaming(stream, TestType{},
                [&](Window<int>& window) { seen.insert(seen.end(), window.begin(), window.end()); },
                {.executor = executor});
  for (int i = 0; i < 3; ++i) stream.append(i);
  CHECK(executor.run_ready() < 100);  // no spin
  CHECK(seen.empty());
  const auto result = consumer.close();
  CHECK(result.delivered == 3);
  CHECK(seen == std::vector{0, 1, 2});
  CHECK(consumer.stats().balances());
}

// Close once waited for ever for such an emitter to change its mind.
TEMPLATE_TEST_CASE("close hands back what the emitter does not want to let go", "[misuse]",
                   SaysNoToFlush, TakesNothing, HidesInBuckets) {
  testing::ManualClock clock;
  testing::ManualExecutor executor;
  Stream<int> stream({.capacity = 16, .clock = clock});
  auto consumer = streaming(stream, TestType{}, [](Window<int>&) {}, {.executor = executor});
  for (int i = 0; i < 3; ++i) stream.append(i);
  CHECK(executor.run_ready() < 100);  // no spin
  const auto result = consumer.close();
  CHECK_FALSE(result.timed_out);
  CHECK(result.handed_back == std::vector{0, 1, 2});
  CHECK(consumer.stats().balances());
}

TEST_CASE("an emitter that throws at its first question is refused, and the stream is not spoilt",
          "[misuse]") {
  Stream<int> stream;
  CHECK_THROWS_WITH((void)streaming(stream, ThrowsAtOnce{}, [](Window<int>&) {}), "at once");
  auto consumer = streaming(stream, CountWindow{1}, [](Window<int>&) {});
  stream.append(1);
  CHECK(consumer.close().delivered == 1);
}

TEMPLATE_TEST_CASE("what an emitter throws is told, and not for ever", "[misuse]", ThrowsWhenAsked,
                   ThrowsAtTheEnd) {
  testing::ManualClock clock;
  testing::ManualExecutor executor;
  int told = 0;
  Stream<int> stream({.capacity = 16, .clock = clock});
  auto consumer = streaming(stream, TestType{}, [](Window<int>&) {},
                            {.executor = executor, .on_error = [&](const BackgroundError& e) {
                               if (e.where == BackgroundError::Where::emitter) ++told;
                             }});
  for (int i = 0; i < 3; ++i) stream.append(i);
  executor.run_ready();
  consumer.close();
  CHECK(told >= 1);
  CHECK(told < 20);
}

TEST_CASE("an emitter that wants to be asked in the past is not asked without end", "[misuse]") {
  testing::ManualClock clock;
  testing::ManualExecutor executor;
  int asked = 0;
  int told = 0;
  Stream<int> stream({.clock = clock});
  auto consumer = streaming(stream, InThePast{&asked}, [](Window<int>&) {},
                            {.executor = executor, .on_error = [&](const BackgroundError& e) {
                               if (e.where == BackgroundError::Where::emitter) ++told;
                             }});
  stream.append(1);
  CHECK(executor.run_ready() < 20);
  CHECK(asked < 20);
  CHECK(told >= 1);
  clock.advance(10s);
  CHECK(executor.run_ready() < 20);
  CHECK(consumer.close().delivered == 1);
}

TEST_CASE("the shortest interval makes no busy loop", "[misuse]") {
  testing::ManualClock clock;
  testing::ManualExecutor executor;
  int windows = 0;
  Stream<int> stream({.clock = clock});
  auto consumer = streaming(stream, RelaxedTimeWindow{1ns}, [&](Window<int>&) { ++windows; },
                            {.executor = executor});
  stream.append(1);
  CHECK(executor.run_ready() < 50);
  clock.advance(1s);
  CHECK(executor.run_ready() < 50);
  CHECK(windows == 1);
}
