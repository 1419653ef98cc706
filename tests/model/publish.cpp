// Publish and consume. A producer constructs an item in its lane and stores tail (release); the
// consumer loads tail (acquire) and moves out what stands below it. At a chunk's end the producer
// links the next chunk before it publishes the first item behind the link.
//
// Allowed: each sweep sees any prefix of each lane. Forbidden: a slot touched by both sides at
// once, an item lost, doubled or out of its producer's order, a link not yet written.

#include "harness.hpp"

namespace {

using namespace model;

/// Whole lanes, two slots per chunk: five items cross two chunk ends.
struct TwoLanesOneConsumer : rl::test_suite<TwoLanesOneConsumer, 3> {
  static constexpr int items = 5;
  std::unique_ptr<Queue> queue;

  void before() { queue = std::make_unique<Queue>(100); }

  void thread(unsigned index) {
    if (index < 2) {
      auto& lane = queue->lanes.acquire();
      for (int i = 0; i < items; ++i) RL_ASSERT(queue->push(lane, static_cast<int>(index), i));
    } else {
      for (int round = 0; round < items; ++round) queue->sweep();
    }
  }

  void after() {
    queue->sweep();
    RL_ASSERT(queue->swept == 2 * items);
    queue.reset();
  }
};

/// The counters alone, every schedule with few preemptions.
template <class Self, bool short_way>
struct Gate : rl::test_suite<Self, 2> {
  static constexpr unsigned items = 3;
  LaneGate gate{has_asymmetric_barrier()};
  rl::var<unsigned> slots[items];

  void before() { gate.set_limit(items, short_way); }

  void thread(unsigned index) {
    if (index == 0) {
      for (unsigned i = 0; i < items; ++i) {
        bool wake = false;
        RL_ASSERT(append_to(
            gate, short_way, [&] { slots[i]($) = i; }, wake));
      }
    } else {
      std::uint64_t head = 0;
      for (unsigned round = 0; round < items; ++round)
        for (const auto tail = gate.tail(); head < tail; ++head) RL_ASSERT(slots[head]($) == head);
    }
  }
};
struct OneGate : Gate<OneGate, false> {};
struct OneShortGate : Gate<OneShortGate, true> {};

}  // namespace

int main() {
  return random<TwoLanesOneConsumer>(30'000) && bounded<OneGate>(4) && bounded<OneShortGate>(4) ? 0
                                                                                                : 1;
}
