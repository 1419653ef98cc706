// Close against append. close() stops every lane and passes the heavy barrier; a producer announces
// its item (claim), passes the light barrier and looks at its limit. So either it sees that it is
// stopped, or the closer sees its claim and waits for the end of that append.
//
// Allowed: an append under way is accepted or refused. Forbidden: an item published after the lanes were
// found quiet, an accepted item that the drain did not sweep, a drain that sleeps though the last append
// has ended (relacy reports a deadlock).

#include "harness.hpp"

namespace {

using namespace model;

/// What a consumer does that was told of the close: no share is of interest any more, every end is.
void drain(Queue& queue) {
  for (;;) {
    queue.wake.arm();
    queue.lanes.close();  // again, because arm() may have run at the same time; it has the barrier
    queue.sweep();
    if (queue.lanes.drained()) return;
    queue.parker.sleep();
  }
}

/// Two producers and one who closes; the consumer sleeps while appends are under way.
struct CloseAndDrain : rl::test_suite<CloseAndDrain, 4> {
  std::unique_ptr<Queue> queue;
  Atomic<bool> closed{false};
  std::size_t accepted[2] = {0, 0};
  std::size_t drained = 0;

  void before() { queue = std::make_unique<Queue>(100); }

  void thread(unsigned index) {
    if (index < 2) {
      auto& lane = queue->lanes.acquire();
      while (accepted[index] < 2 &&
             queue->push(lane, static_cast<int>(index), static_cast<int>(accepted[index])))
        ++accepted[index];
      queue->lanes.release(lane);
    } else if (index == 2) {
      closed.store(true, std::memory_order_seq_cst);
      queue->lanes.close();
      queue->wake.ring_always();
    } else {
      while (!closed.load(std::memory_order_relaxed)) {
        queue->sweep();
        queue->sleep(4);
      }
      drain(*queue);
      drained = queue->swept;
    }
  }

  void after() {
    queue->sweep();
    RL_ASSERT(queue->swept == drained);
    RL_ASSERT(drained == accepted[0] + accepted[1]);
    queue.reset();
  }
};

/// A run of items that throws at the second: what was announced for the rest is taken back.
struct ARunThatThrows : rl::test_suite<ARunThatThrows, 2> {
  struct Source {
    int at = 0;
    int operator*() const {
      if (at == 1) throw at;
      return at;
    }
    Source& operator++() { return ++at, *this; }
  };
  struct Maker {
    Source numbers;
    Item operator*() const { return Item(0, *numbers); }
    Maker& operator++() { return ++numbers, *this; }
  };

  std::unique_ptr<Queue> queue;
  Lane<Item>* lane = nullptr;

  void before() {
    queue = std::make_unique<Queue>(100);
    lane = &queue->lanes.acquire();
    RL_ASSERT(queue->lanes.refill(*lane) == Lane<Item>::Refill::ready);
  }

  void thread(unsigned index) {
    if (index == 1) return drain(*queue);
    Maker from;
    try {
      (void)lane->push_run(from, 2);
    } catch (int) {
    }
  }

  void after() {
    RL_ASSERT(queue->swept == queue->lanes.accepted());
    queue.reset();
  }
};

/// The handshake alone, every schedule with few preemptions.
struct OneGate : rl::test_suite<OneGate, 2> {
  static constexpr unsigned items = 2;
  LaneGate gate{has_asymmetric_barrier()};
  bool quiet = false;
  std::uint64_t seen = 0;

  void before() { gate.set_limit(items); }

  void thread(unsigned index) {
    if (index == 0) {
      for (unsigned i = 0; i < items; ++i) {
        if (gate.enter(1) == 0) {
          (void)gate.leave();
          return;
        }
        (void)gate.publish(1);
      }
    } else {
      gate.set_limit(0);
      heavy_barrier(has_asymmetric_barrier());
      quiet = gate.quiet();
      seen = gate.tail();
    }
  }

  void after() { RL_ASSERT(!quiet || gate.tail() == seen); }
};

}  // namespace

int main() { 
  return bounded<OneGate>(4) && random<CloseAndDrain>(30'000) && random<ARunThatThrows>(10'000) ? 0
                                                                                                : 1;
 }
