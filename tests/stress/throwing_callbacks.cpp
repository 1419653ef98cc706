// Callbacks and sinks that fail one time in ten, poison items and rejected ones, several workers,
// every order.
//
// Allowed:   attempts after the first; windows taken apart; an item dead-lettered only if its
//            callback refuses it always.
// Forbidden: an item lost or ended twice; a good item dead-lettered; a poison one delivered; an
//            acknowledgement that is told twice, never, or the wrong thing; with a sink under
//            committed_in_order, results out of the windows' order.

#include "support/catch.hpp"
#include "support/ledger_checker.hpp"
#include "support/stress.hpp"

#include <microbatch/microbatch.hpp>
#include <microbatch/testing/recording_sink.hpp>

#include <atomic>
#include <stdexcept>

using namespace microbatch;
using namespace std::chrono_literals;
using ledger::Entry;

namespace {

[[nodiscard]] bool poison(const Entry& item) { return item.checksum % 211 == 0; }
[[nodiscard]] bool refused(const Entry& item) { return item.checksum % 199 == 0; }

FailurePolicy quick() {
  FailurePolicy policy;
  policy.max_attempts = 2;
  policy.max_transient_attempts = FailurePolicy::unbounded;
  policy.first_delay = 20us;
  policy.max_delay = 200us;
  policy.isolate = Isolate::always;
  return policy;
}

}  // namespace

TEST_CASE("every item ends once and rightly under callbacks that throw", "[stress]") {
  const Order order = GENERATE(Order::sequential, Order::committed_in_order, Order::unordered);
  const std::size_t workers = GENERATE(as<std::size_t>{}, 1, 3);
  if (order == Order::sequential && workers > 1) return;
  CAPTURE(static_cast<int>(order), workers);
  constexpr std::size_t producers = 3;
  const std::uint64_t each = stress::scaled(1200);

  ledger::Recorder recorder;
  std::atomic<std::uint64_t> calls{0};
  std::atomic<std::uint64_t> acknowledged{0};
  std::atomic<std::uint64_t> wrongly{0};
  std::mutex put_mutex;
  std::uint64_t puts = 0;
  std::vector<std::uint64_t> put_windows;
  struct FlakySink {
    std::mutex* mutex;
    std::uint64_t* puts;
    std::vector<std::uint64_t>* windows;
    void put(std::span<const std::uint64_t> results) {
      const std::lock_guard lock(*mutex);
      if (++*puts % 10 == 5) throw std::runtime_error("put");
      windows->insert(windows->end(), results.begin(), results.end());
    }
  };

  ThreadPool pool(workers);
  Stream<Entry> stream({.capacity = 500});
  auto consumer = streaming(
      stream, CountWindow{16},
      [&](Window<Entry>& window) -> std::uint64_t {
        const auto call = recorder.begin(window);
        if (calls.fetch_add(1) % 10 == 3) throw TransientError("down");
        std::vector<std::size_t> rejected;
        for (std::size_t i = 0; i < window.size(); ++i) {
          if (poison(window[i])) throw std::runtime_error("poison");
          if (refused(window[i])) rejected.push_back(i);
        }
        for (const std::size_t i : rejected) window.reject(i, "refused");
        recorder.succeeded(call, rejected);
        return window.sequence();
      },
      {.executor = pool,
       .order = order,
       .sink = FlakySink{&put_mutex, &puts, &put_windows},
       .dead_letters = [&](DeadLetter<Entry>& letter) { recorder.dead_letter(letter.item); },
       .on_failure = quick()});
  {
    const stress::Threads threads(producers, [&](std::uint32_t me) {
      for (std::uint64_t s = 0; s < each; ++s) {
        const Entry item = Entry::make(me, s);
        const bool bad = poison(item) || refused(item);
        (void)stream.append(item, [&, bad](const std::exception_ptr& error) {
          ++acknowledged;
          if ((error != nullptr) != bad) ++wrongly;
        });
      }
    });
  }
  const auto result = consumer.close();
  CHECK_FALSE(result.timed_out);
  recorder.accepted(std::vector<std::uint64_t>(producers, each));
  CHECK(ledger::check(recorder.record(),
                      {.calls_in_order = order == Order::sequential, .at_most = 16, .faults = true},
                      consumer.stats()) == "");
  for (const Entry& item : recorder.record().dead_letters)
    if (!poison(item) && !refused(item)) FAIL("a good item was dead-lettered");
  CHECK(acknowledged == producers * each);
  CHECK(wrongly == 0);
  if (order != Order::unordered) CHECK(std::is_sorted(put_windows.begin(), put_windows.end()));
}

TEST_CASE("without a fault committed_in_order puts every window once, in order", "[stress]") {
  ThreadPool pool(4);
  testing::RecordingSink<std::uint64_t> sink;
  Stream<int> stream({.capacity = 256});
  auto consumer =
      streaming(stream, CountWindow{4},
                [&](Window<int>& window) {
                  if (window.sequence() % 3 == 0) std::this_thread::yield();
                  return window.sequence();
                },
                {.executor = pool, .order = Order::committed_in_order, .sink = std::ref(sink)});
  const std::size_t n = stress::scaled(4000) * 4;
  for (std::size_t i = 0; i < n; ++i) (void)stream.append(1);
  consumer.close();
  const auto windows = sink.results();
  REQUIRE(windows.size() == n / 4);
  std::size_t wrong = 0;
  for (std::size_t i = 0; i < windows.size(); ++i) wrong += windows[i] == i ? 0 : 1;
  CHECK(wrong == 0);
  CHECK(sink.closes() == 1);
}

TEST_CASE("acknowledgements are all told, once, whichever way they are asked for", "[stress]") {
  ThreadPool pool(2);
  Stream<int> stream({.capacity = 64});
  auto consumer = streaming(stream, any_of(CountWindow{8}, MaxAgeWindow{1ms}),
                            [](Window<int>& window) {
                              for (std::size_t i = 0; i < window.size(); ++i)
                                if (window[i] % 5 == 0) window.reject(i, "five");
                            },
                            {.executor = pool, .order = Order::unordered});
  std::atomic<std::uint64_t> wrong{0};
  std::atomic<std::uint64_t> told{0};
  const std::size_t each = stress::scaled(400);
  {
    const stress::Threads threads(4, [&](std::uint32_t me) {
      for (std::size_t i = 0; i < each; ++i) {
        const int value = static_cast<int>(i);
        auto result = stream.append(value, ack);
        if (me % 2 == 0) {
          result.then([&, value](const std::exception_ptr& error) {
            ++told;
            if ((error != nullptr) != (value % 5 == 0)) ++wrong;
          });
          continue;
        }
        try {
          (void)result.get();
          if (value % 5 == 0) ++wrong;
        } catch (const Rejected&) {
          if (value % 5 != 0) ++wrong;
        }
        ++told;
      }
    });
  }
  consumer.close();
  CHECK(told == 4 * each);
  CHECK(wrong == 0);
}
