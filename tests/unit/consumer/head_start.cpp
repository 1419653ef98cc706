// A sleeping engine is rung a little before its window is full: it is awake when the last item
// comes. On a machine in virtual time, where waking up takes a while and each look at the clock a
// moment.

#include "support/catch.hpp"

#include <microbatch/microbatch.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <utility>
#include <vector>

using namespace microbatch;
using namespace std::chrono_literals;

namespace {

constexpr Duration wake_up = 40us;
constexpr std::size_t per_window = 1000;

/// Items that come by a timetable. What is due by the time that somebody sees is there.
class Machine final : public Clock {
 public:
  /// When the n-th item comes.
  using Timetable = std::function<Duration(std::size_t)>;

  explicit Machine(Timetable timetable) : timetable_(std::move(timetable)) {}

  [[nodiscard]] TimePoint now() const noexcept override {
    if (!std::exchange(busy_, true)) {
      now_ += 50ns;
      while (deliver && sent_ < items && timetable_at(sent_) <= now_) deliver(sent_++);
      busy_ = false;
    }
    return now_;
  }
  void sleep_until(TimePoint t) {
    while (now_ < t) {
      now_ = std::max(now_, std::min(t, timetable_at(sent_)));
      (void)now();
    }
  }
  [[nodiscard]] std::size_t sent() const noexcept { return sent_; }
  [[nodiscard]] TimePoint next_item() const { return timetable_at(sent_); }
  [[nodiscard]] TimePoint timetable_at(std::size_t n) const { return start_ + timetable_(n); }

  std::function<void(std::size_t)> deliver;
  std::size_t items = 0;

 private:
  static constexpr TimePoint start_{1000s};
  Timetable timetable_;
  mutable TimePoint now_ = start_;
  mutable std::size_t sent_ = 0;
  mutable bool busy_ = false;
};

/// One worker that takes `wake_up` to wake up.
class Worker {
 public:
  struct Place final : Attachment {
    std::shared_ptr<Steppable> engine;
    bool notified = true;
    void notify() noexcept override { notified = true; }
    void detach() noexcept override { engine = nullptr; }
  };

  void execute(Task task) { task(); }
  std::shared_ptr<Attachment> attach(std::shared_ptr<Steppable> engine) {
    place->engine = std::move(engine);
    return place;
  }

  /// Until there is nothing to do.
  void take_turns() {
    while (void* job = place->engine->turn(true).job) place->engine->perform(job);
  }

  /// Until all items have come and nothing is left to do. Returns how often it woke up.
  std::size_t run(Machine& machine) {
    std::size_t wake_ups = 0;
    for (;;) {
      if (std::exchange(place->notified, false)) {
        ++wake_ups;
        machine.sleep_until(machine.now() + wake_up);
        take_turns();
      } else if (machine.sent() < machine.items) {
        machine.sleep_until(machine.next_item());
      } else {
        return wake_ups;
      }
    }
  }

  std::shared_ptr<Place> place = std::make_shared<Place>();
};

struct Run {
  std::size_t wake_ups = 0;
  std::vector<Duration> hand_offs;  // from each window's last item to its callback
};

/// Windows of `emitter` that come to `callback`, of items that come by this timetable, from each
/// producer in turn. Returns how often the worker woke up.
template <class Emitter, class Callback>
std::size_t run(Machine& machine, std::size_t items, Emitter emitter, Callback callback,
                std::size_t producers = 1) {
  machine.items = items;
  Worker worker;
  Stream<std::size_t> stream({.capacity = 16 * per_window, .clock = machine});
  auto consumer = streaming(stream, std::move(emitter), std::move(callback), {.executor = worker});
  std::vector<Producer<std::size_t>> lanes;
  for (std::size_t i = 0; i < producers; ++i) lanes.push_back(stream.producer());
  machine.deliver = [&](std::size_t n) { lanes[n % producers].append(n); };
  const std::size_t wake_ups = worker.run(machine);
  machine.deliver = {};
  (void)consumer.close(0s);  // nobody takes turns any more
  return wake_ups;
}

/// `windows` full ones.
template <class Emitter = CountWindow>
Run run(std::size_t windows, Machine::Timetable timetable, std::size_t producers = 1,
        Emitter emitter = CountWindow{per_window}) {
  Machine machine(std::move(timetable));
  Run result;
  const auto note = [&](std::span<const std::size_t> items) {
    CHECK(items.size() == per_window);
    const std::size_t last = (result.hand_offs.size() + 1) * per_window - 1;
    result.hand_offs.push_back(machine.now() - machine.timetable_at(last));
  };
  result.wake_ups = run(machine, windows * per_window, std::move(emitter), note, producers);
  CHECK(result.hand_offs.size() == windows);
  return result;
}

}  // namespace

TEST_CASE("A sleeping engine is awake when the last item of a window comes", "[engine]") {
  for (const Duration gap : {1us, 10us, 30us}) {
    const Run measured = run(50, [=](std::size_t n) { return gap * static_cast<int>(n); });
    INFO("an item each " << gap.count() << " ns");
    CHECK(measured.hand_offs.front() >= wake_up);  // nothing is known yet
    for (std::size_t i = 1; i < measured.hand_offs.size(); ++i) CHECK(measured.hand_offs[i] < 1us);
    CHECK(measured.wake_ups <= 52);
  }
}

TEST_CASE("A sleeping engine is awake when the last item of many producers comes", "[engine]") {
  for (const std::size_t producers : {2u, 4u, 7u}) {
    const Run measured = run(
        50, [](std::size_t n) { return 5us * static_cast<int>(n); }, producers);
    INFO(producers << " producers");
    for (std::size_t i = 2; i < measured.hand_offs.size(); ++i) CHECK(measured.hand_offs[i] < 1us);
    CHECK(measured.wake_ups <= 55);
  }
}

TEST_CASE("A sleeping engine is awake when the last item comes, also where age ends a window",
          "[engine]") {
  const Run measured = run(
      50, [](std::size_t n) { return 10us * static_cast<int>(n); }, 1,
      any_of(CountWindow{per_window}, MaxAgeWindow{1s}));
  for (std::size_t i = 1; i < measured.hand_offs.size(); ++i) CHECK(measured.hand_offs[i] < 1us);
}

TEST_CASE("A window that its time ends leaves then, also while the rest of it is waited for",
          "[engine]") {
  // 999 of the thousand items have come when a cell ends.
  Machine machine([](std::size_t n) { return 10us * static_cast<int>(n) + 5us; });
  std::size_t cells = 0;
  run(machine, 100 * 999, any_of(FixedTimeWindow{9990us}, CountWindow{per_window}),
      [&](Window<std::size_t>& w) {
        CHECK(w.size() <= 999);
        CHECK(machine.now() - w.closed_at() < 2 * wake_up);
        ++cells;
      });
  CHECK(cells >= 99);
}

TEST_CASE("A window whose last items were waited for left when they were there", "[engine]") {
  Machine machine([](std::size_t n) { return 10us * static_cast<int>(n); });
  std::size_t n = 0;
  run(machine, 20 * per_window, CountWindow{per_window}, [&](Window<std::size_t>& w) {
    n += w.size();
    CHECK(w.closed_at() >= machine.timetable_at(n - 1));
  });
  CHECK(n == 20 * per_window);
}

TEST_CASE("A clock that stands still does not make an engine wait for ever", "[engine]") {
  struct Standing final : Clock {
    [[nodiscard]] TimePoint now() const noexcept override { return time; }
    TimePoint time{1000s};
  } clock;
  Worker worker;
  Stream<int> stream({.clock = clock});
  std::size_t windows = 0;
  auto consumer = streaming(stream, CountWindow{per_window},
                            [&](std::span<const int>) { ++windows; }, {.executor = worker});
  std::size_t early = 0;
  for (std::size_t n = 1; n <= 5000; ++n) {
    clock.time += 10us;
    CHECK(stream.append(0) == AppendResult::accepted);
    if (!std::exchange(worker.place->notified, false)) continue;
    early += n % per_window > 900 ? 1 : 0;  // the rest does not come before the turn ends
    clock.time += wake_up;
    worker.take_turns();
  }
  CHECK(windows == 5);
  CHECK(early > 0);
  (void)consumer.close(0s);
}

TEST_CASE("Items that come more slowly than a thread wakes up are slept for", "[engine]") {
  const Run measured = run(50, [](std::size_t n) { return 50us * static_cast<int>(n); });
  for (const Duration hand_off : measured.hand_offs) CHECK(hand_off >= wake_up);
  CHECK(measured.wake_ups <= 52);
}

TEST_CASE("Items that fill a window in a few wake-ups' time are slept for", "[engine]") {
  const Run measured = run(50, [](std::size_t n) { return 250ns * static_cast<int>(n); });
  for (const Duration hand_off : measured.hand_offs) CHECK(hand_off >= wake_up);
}

TEST_CASE("Engines that were rung too early are seldom rung early again", "[engine]") {
  // Each window's last item comes a millisecond after the others.
  const Run measured = run(1000, [](std::size_t n) {
    return 10us * static_cast<int>(n) + 1ms * static_cast<int>((n + 1) / per_window);
  });
  for (const Duration hand_off : measured.hand_offs) CHECK(hand_off >= wake_up);
  CHECK(measured.wake_ups > 1010);
  CHECK(measured.wake_ups < 1030);
}

TEST_CASE("Engines are rung early again when items come evenly, but for a few", "[engine]") {
  // 500 windows with a late last item, then one in 40.
  const Run measured = run(2000, [](std::size_t n) {
    const std::size_t full = (n + 1) / per_window;
    const std::size_t late =
        std::min<std::size_t>(full, 500) + (std::max<std::size_t>(full, 500) - 500) / 40;
    return 10us * static_cast<int>(n) + 1ms * static_cast<int>(late);
  });
  const auto awake = std::count_if(measured.hand_offs.end() - 1000, measured.hand_offs.end(),
                                   [](Duration hand_off) { return hand_off < 1us; });
  CHECK(awake > 900);
}
