// Lane retirement. A producer that ends releases its lane with whatever is still in it; the next
// producer acquires it and appends behind.
//
// Allowed: the next producer gets a lane of its own. Forbidden: the second producer's item before the
// first one's in the same lane, an item that the consumer can see before it can see its predecessors, a
// lane with two producers.

#include "harness.hpp"

namespace {

using namespace model;

/// Short-lived producers, one consumer. Nobody rings: its lock would order what the hand-over should.
template <unsigned producers>
struct OneLaneManyProducers : rl::test_suite<OneLaneManyProducers<producers>, producers + 1> {
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

}  // namespace

int main() {
  return random<OneLaneManyProducers<2>>(30'000) && random<OneLaneManyProducers<3>>(30'000) ? 0 : 1;
}
