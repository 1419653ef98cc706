// Lane retirement. A producer that ends releases its lane with whatever is still in it; the next
// producer acquires it and appends behind.
//
// Allowed: the next producer gets a lane of its own. Forbidden: the second producer's item before
// the first one's in the same lane, an item that the consumer can see before it can see its
// predecessors, a lane with two producers.

#include "harness.hpp"

namespace {

using namespace model;

/// Short-lived producers, one consumer. Nobody rings: its lock would order what the hand-over
/// should.
struct OneLaneManyProducers : rl::test_suite<OneLaneManyProducers, 4> {
  static constexpr unsigned producers = 3;
  static constexpr int items = 2;
  std::unique_ptr<Queue> queue;

  void before() {
    queue = std::make_unique<Queue>(100);
    queue->wake.disarm();
  }

  void thread(unsigned index) {
    if (index < producers) {
      auto& lane = queue->lanes.acquire();
      for (int i = 0; i < items; ++i) RL_ASSERT(queue->push(lane, static_cast<int>(index), i));
      queue->lanes.release(lane);
    } else {
      for (unsigned round = 0; round < producers; ++round) queue->sweep();
    }
  }

  void after() {
    queue->sweep();
    RL_ASSERT(queue->swept == producers * items);
    queue.reset();
  }
};

/// Always the same lane, and nothing but the hand-over between the two: what tells the threads that
/// it is their turn is relaxed and orders nothing.
struct BehindThePredecessor : rl::test_suite<BehindThePredecessor, 3> {
  std::unique_ptr<Queue> queue;
  Atomic<unsigned> turn{0};
  Lane<Item>* lanes[2];

  void before() {
    queue = std::make_unique<Queue>(100);
    queue->wake.disarm();
  }

  void thread(unsigned index) {
    while (turn.load(std::memory_order_relaxed) < index) rl::yield(1, $);
    if (index < 2) {
      auto& lane = *(lanes[index] = &queue->lanes.acquire());
      RL_ASSERT(queue->push(lane, static_cast<int>(index), 0));
      queue->lanes.release(lane);
      turn.store(index + 1, std::memory_order_relaxed);
    } else {
      queue->sweep();
    }
  }

  void after() {
    queue->sweep();
    RL_ASSERT(queue->swept == 2 && lanes[0] == lanes[1]);
    queue.reset();
  }
};

}  // namespace

int main() {
  return random<BehindThePredecessor>(10'000) && random<OneLaneManyProducers>(30'000) ? 0 : 1;
}
