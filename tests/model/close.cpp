// Close against append. close() stops every lane and passes the heavy barrier; a producer announces
// its item (claim), passes the light barrier and looks at its limit. So either it sees that it is
// stopped, or the closer sees its claim and waits for the end of that append.
//
// Allowed: an append under way is accepted or refused. Forbidden: an item published after the lanes
// were found quiet, an accepted item that the drain did not sweep, a drain that sleeps though the
// last append has ended (relacy reports a deadlock); and an item that is left when nobody drains
// any more, and that its producer, the last to know of it, does not see to either; a chunk that
// somebody looks into when the memory has been let go.

#include "harness.hpp"

namespace {

using namespace model;

/// An engine's turns until the stream is drained, as EngineLoop takes them; the items it waits for
/// never come. The Sleeper is the real one.
class Engine {
 public:
  explicit Engine(Queue& queue) : queue_(queue) {}

  void run() {
    while (!turn()) queue_.parker.sleep();
  }

 private:
  bool turn() {
    queue_.begin_turn();
    if (queue_.closed()) begin_draining();
    queue_.sweep_known();
    while (!sleep()) queue_.sweep();
    return drained_;
  }

  void begin_draining() {
    if (std::exchange(draining_, true)) return;
    queue_.lanes.close();    // again: arm() or disarm() may have run at the same time
    queue_.lanes.refresh();  // lanes made after that are closed from birth
  }

  bool sleep() {
    // One look decides. A second may find another append that is about to be refused.
    if (draining_)
      return (drained_ = queue_.lanes.drained()) || queue_.sleeper.sleep_until_quiet(0);
    return queue_.sleeper.sleep_until(4, false);
  }

  Queue& queue_;
  bool draining_ = false;
  bool drained_ = false;
};

/// Two producers and one who closes; the consumer sleeps while appends are under way.
struct CloseAndDrain : rl::test_suite<CloseAndDrain, 4> {
  std::unique_ptr<Queue> queue;
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
      queue->close_input();
    } else {
      Engine(*queue).run();
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

/// The close comes while the consumer arms its shares, and an append is under way all the while:
/// its item is ready only some time after the stream has closed.
struct CloseWhileArming : rl::test_suite<CloseWhileArming, 3> {
  struct SlowItem {
    const Queue& queue;
    operator Item() const {
      while (!queue.closed()) rl::yield(1, $);
      for (int i = 0; i < 20; ++i) rl::yield(1, $);  // time for a turn
      return {0, 1};
    }
  };

  std::unique_ptr<Queue> queue;
  Lane<Item>* lane = nullptr;
  bool accepted = false;
  std::size_t drained = 0;

  void before() {
    queue = std::make_unique<Queue>(100);
    lane = &queue->lanes.acquire();
    RL_ASSERT(queue->push(*lane, 0, 0));
    queue->sweep();
    queue->wake.disarm();
    queue->lanes.disarm();
  }

  void thread(unsigned index) {
    if (index == 0) {
      accepted = lane->push(SlowItem{*queue});
    } else if (index == 1) {
      queue->close_input();
    } else {
      Engine(*queue).run();
      drained = queue->swept;
    }
  }

  void after() {
    RL_ASSERT(drained == queue->lanes.accepted());
    RL_ASSERT(drained == (accepted ? 2 : 1));
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
    if (index == 1) {
      queue->close_input();
      return Engine(*queue).run();
    }
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

/// The first append on a lane, and the close behind it, while a turn begins that does not know the
/// lane.
struct CloseBehindANewLane : rl::test_suite<CloseBehindANewLane, 2> {
  std::unique_ptr<Queue> queue;

  void before() { queue = std::make_unique<Queue>(100); }
  void thread(unsigned index) {
    if (index == 0) {
      RL_ASSERT(queue->push(queue->lanes.acquire(), 0, 0));
      queue->close_input();
    } else {
      while (!queue->closed()) rl::yield(1, $);  // orders nothing
      Engine(*queue).run();
      RL_ASSERT(queue->swept == 1);
    }
  }
  void after() { queue.reset(); }
};

/// The consumer goes while appends are under way, as StreamCore::detach does it: from here on, the
/// ring itself sees to what is left.
struct LatePublishers : rl::test_suite<LatePublishers, 3> {
  std::unique_ptr<Queue> queue;
  Lane<Item>* lanes[2];
  Mutex token;

  void before() {
    queue = std::make_unique<Queue>(100);
    for (auto& lane : lanes) {
      lane = &queue->lanes.acquire();
      RL_ASSERT(queue->lanes.refill(*lane) == Lane<Item>::Refill::ready);
    }
  }

  void thread(unsigned index) {
    if (index < 2) {
      (void)lanes[index]->push(Item(static_cast<int>(index), 0));
    } else {
      queue->close_input();
      queue->wake.on_wake([this] { drop_unclaimed(); });
      drop_unclaimed();
    }
  }

  void drop_unclaimed() {
    queue->wake.arm();
    queue->lanes.barrier();
    std::lock_guard lock(token);
    queue->sweep();
  }

  void after() {
    RL_ASSERT(queue->lanes.waiting() == 0);
    queue.reset();
  }
};

/// The same, and with the last item all memory goes, though producers still append and are told
/// that the stream is closed. Chunks of one item: each append wants one.
struct LetGo : rl::test_suite<LetGo, 3> {
  std::unique_ptr<Queue> queue;
  Lane<Item>* lanes[2];
  Mutex token;

  void before() {
    queue = std::make_unique<Queue>(100, false, 8);
    for (auto& lane : lanes) lane = &queue->lanes.acquire();
  }

  void thread(unsigned index) {
    if (index < 2) {
      for (int i = 0; i < 2; ++i) (void)queue->push(*lanes[index], static_cast<int>(index), i);
    } else {
      queue->close_input();
      queue->wake.on_wake([this] { drop_unclaimed(); });
      drop_unclaimed();
    }
  }

  void drop_unclaimed() {
    queue->wake.arm();
    queue->lanes.barrier();
    std::lock_guard lock(token);
    queue->sweep();
    if (queue->lanes.drained()) queue->lanes.let_go();
  }

  void after() {
    RL_ASSERT(queue->lanes.waiting() == 0);
    queue.reset();
  }
};

/// The handshake alone, every schedule with few preemptions.
struct OneGate : rl::test_suite<OneGate, 2> {
  static constexpr unsigned items = 2;
  LaneGate gate{has_asymmetric_barrier()};
  bool quiet = false;
  std::uint64_t seen = 0;

  void before() { gate.set_limit(items, false); }

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
      gate.set_limit(0, false);
      heavy_barrier(has_asymmetric_barrier());
      quiet = gate.quiet();
      seen = gate.tail();
    }
  }

  void after() { RL_ASSERT(!quiet || gate.tail() == seen); }
};

}  // namespace

int main() {
  return bounded<OneGate>(4) && random<CloseBehindANewLane>(10'000) &&
                 random<CloseAndDrain>(20'000) && random<CloseWhileArming>(20'000) &&
                 random<ARunThatThrows>(10'000) && random<LatePublishers>(20'000) &&
                 random<LetGo>(20'000)
             ? 0
             : 1;
}
