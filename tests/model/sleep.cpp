// Sleep and wake, with the engine's own Sleeper. The consumer arms each lane with a share of what
// it waits for, passes the heavy barrier and looks once more; a producer publishes, passes the
// light barrier and looks at its share. Wake lets one ring through per sleep.
//
// Allowed: a ring too many, a look that already finds the items. Forbidden: everything that was
// waited for is there and everybody sleeps (relacy reports a deadlock).

#include "harness.hpp"

namespace {

using namespace model;

/// Two producers of two items each; the consumer sleeps until `wanted` wait, or all that is
/// missing.
template <std::uint64_t wanted>
struct ConsumerSleeps : rl::test_suite<ConsumerSleeps<wanted>, 3> {
  static constexpr int items = 2;
  std::unique_ptr<Queue> queue;

  void before() { queue = std::make_unique<Queue>(100); }

  void thread(unsigned index) {
    if (index < 2) {
      auto& lane = queue->lanes.acquire();
      for (int i = 0; i < items; ++i) RL_ASSERT(queue->push(lane, static_cast<int>(index), i));
      return;
    }
    for (;;) {
      queue->begin_turn();
      queue->sweep();
      const auto missing = 2 * items - queue->swept;
      if (missing == 0) return;
      if (queue->sleeper.sleep_until(std::min<std::uint64_t>(wanted, missing), false))
        queue->parker.sleep();
    }
  }

  void after() { queue.reset(); }
};

/// A lane that was active takes all of what is missing as its share, one that was idle reports its
/// first item. What one lane publishes between arm()'s look at the tails and the barrier, unseen,
/// must not use up the other's silence.
struct SharesOfTwo : rl::test_suite<SharesOfTwo, 3> {
  std::unique_ptr<Queue> queue;
  Lane<Item>* lanes[2];

  void before() {
    queue = std::make_unique<Queue>(100);
    for (auto& lane : lanes) lane = &queue->lanes.acquire();
    RL_ASSERT(queue->push(*lanes[0], 0, 0));
    queue->lanes.refresh();  // the first has been active
    queue->lanes.disarm();
    queue->wake.disarm();
  }

  void thread(unsigned index) {
    const int first = index == 0 ? 1 : 0;
    const int end = index == 0 ? 3 : 1;
    if (index < 2) {
      for (int i = first; i < end; ++i)
        RL_ASSERT(queue->push(*lanes[index], static_cast<int>(index), i));
      return;
    }
    for (;;) {
      queue->begin_turn();
      if (queue->lanes.waiting() >= 4) return;
      if (queue->sleeper.sleep_until(4, false)) queue->parker.sleep();
    }
  }

  void after() {
    queue->sweep();
    queue.reset();
  }
};

/// The handshake alone, every schedule with few preemptions.
template <class Self, bool short_way>
struct Gate : rl::test_suite<Self, 2> {
  static constexpr unsigned items = 2;
  LaneGate gate{has_asymmetric_barrier()};
  WeakClock clock;
  Wake wake{clock};
  Parker parker;

  void before() {
    gate.set_limit(items, short_way);
    wake.on_wake([this] { parker.ring(); });
  }

  void thread(unsigned index) {
    if (index == 0) {
      for (unsigned i = 0; i < items; ++i) {
        bool must_wake = false;
        RL_ASSERT(append_to(
            gate, short_way, [] {}, must_wake));
        if (must_wake) wake.ring();
      }
    } else {
      while (gate.tail() < items) {
        wake.arm();
        gate.arm(items);
        heavy_barrier(has_asymmetric_barrier());
        if (gate.tail() < items) parker.sleep();
      }
    }
  }
};
struct OneGate : Gate<OneGate, false> {};
struct OneShortGate : Gate<OneShortGate, true> {};

}  // namespace

int main() {
  return random<ConsumerSleeps<1>>(20'000) && random<ConsumerSleeps<3>>(20'000) &&
                 random<SharesOfTwo>(20'000) && bounded<OneGate>(3) && bounded<OneShortGate>(3)
             ? 0
             : 1;
}
