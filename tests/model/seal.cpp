// Seal against stamped publish. The consumer reads the time S and sets a bit in each lane's tail; a
// producer whose publish meets the bit clears it, takes a new stamp and comes back.
//
// Allowed: an item of any stamp published before the seal. Forbidden: an item stamped before S and
// published after the seal, so that it would belong to a cell that has been closed.

#include "harness.hpp"

namespace {

using namespace model;

/// The clock is no better than happens-before, so the seal alone carries S to the producer.
struct CloseACell : rl::test_suite<CloseACell, 3> {
  static constexpr int items = 3;
  std::unique_ptr<Queue> queue;
  Lane<Item>* lane = nullptr;
  TimePoint last = TimePoint::min();

  void before() {
    queue = std::make_unique<Queue>(100, true);
    lane = &queue->lanes.acquire();
  }

  void thread(unsigned index) {
    if (index == 0) {
      for (int i = 0; i < items; ++i) RL_ASSERT(queue->push(*lane, 0, i));
    } else if (index == 1) {
      for (int i = 0; i < 4; ++i) queue->clock.tick();
    } else {
      for (int cell = 0; cell < 2; ++cell) {
        queue->lanes.refresh();
        const TimePoint now = queue->clock.now();
        queue->lanes.seal();  // with no barrier before it, as if it alone had to carry the time
        queue->sweep_known(now);
        last = now;
      }
    }
  }

  void after() {
    queue->lanes.refresh();
    if (lane->waiting() > 0) RL_ASSERT(lane->reader().front_stamp() >= last);
    queue->sweep();
    RL_ASSERT(queue->swept == items);
    queue.reset();
  }
};

/// A lane that comes while a cell is closed, as in WindowFormer::sweep: the barrier between the
/// time and the look for new lanes meets the one between the lane's making and its first stamp.
struct ALaneComes : rl::test_suite<ALaneComes, 3> {
  std::unique_ptr<Queue> queue;
  TimePoint cell;

  void before() { queue = std::make_unique<Queue>(100, true); }

  void thread(unsigned index) {
    if (index == 0) {
      RL_ASSERT(queue->push(queue->lanes.acquire(), 0, 0));
    } else if (index == 1) {
      for (int i = 0; i < 2; ++i) queue->clock.tick();
    } else {
      cell = queue->clock.now();
      queue->lanes.barrier();
      queue->lanes.refresh();
      queue->lanes.seal();
      queue->sweep_known(cell);
    }
  }

  void after() {
    if (queue->swept == 0) {
      queue->lanes.refresh();
      RL_ASSERT(queue->lanes.oldest(nullptr)->reader().front_stamp() >= cell);
    }
    queue->sweep();
    RL_ASSERT(queue->swept == 1);
    queue.reset();
  }
};

/// The bit alone, every schedule with few preemptions.
struct OneGate : rl::test_suite<OneGate, 3> {
  static constexpr unsigned items = 2;
  LaneGate gate{has_asymmetric_barrier()};
  WeakClock clock;
  TimePoint stamps[items];
  TimePoint cell = TimePoint::min();
  std::uint64_t closed_at = 0;

  void before() { gate.set_limit(items, false); }

  void thread(unsigned index) {
    if (index == 0) {
      for (unsigned i = 0; i < items; ++i) {
        RL_ASSERT(gate.enter(1) == 1);
        do {
          if (gate.is_sealed()) gate.unseal();
          stamps[i] = clock.now();
        } while (!gate.try_publish(1));
      }
    } else if (index == 1) {
      clock.tick();
    } else {
      cell = clock.now();
      gate.seal();
      closed_at = gate.tail();
    }
  }

  void after() {
    for (auto i = closed_at; i < items; ++i) RL_ASSERT(stamps[i] >= cell);
  }
};

}  // namespace

int main() {
  return bounded<OneGate>(2) && random<CloseACell>(20'000) && random<ALaneComes>(20'000) ? 0 : 1;
}
