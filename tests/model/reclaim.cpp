// Revoke and reclaim against append. Room that a lane was granted and has not used goes back: stop
// the lane, pass the heavy barrier, keep what is published or claimed, give back the rest.
//
// Allowed: less is given back than could be. Forbidden: more items accepted than there is room,
// room that neither an item, a lane nor the stream holds.

#include "harness.hpp"

namespace {

using namespace model;

/// Room for three, chunks of two; two producers want four, one of them in a run.
struct RoomIsNeverExceeded : rl::test_suite<RoomIsNeverExceeded, 3> {
  static constexpr int capacity = 3;
  std::unique_ptr<Queue> queue;
  Lane<Item>* lanes[2];

  void before() {
    queue = std::make_unique<Queue>(capacity);
    for (auto& lane : lanes) lane = &queue->lanes.acquire();
  }

  void thread(unsigned index) {
    if (index < 2) {
      for (int i = 0; i < 2; ++i)
        if (!queue->push(*lanes[index], static_cast<int>(index), i)) (void)queue->lanes.reclaim();
    } else {
      for (int round = 0; round < 2; ++round) (void)queue->lanes.reclaim();
      queue->sweep();
    }
  }

  void after() {
    queue->sweep();
    while (queue->lanes.reclaim()) {
      // a lock may be missed once
    }
    RL_ASSERT(queue->swept <= capacity);
    RL_ASSERT(static_cast<std::int64_t>(queue->swept) + queue->room.left() == capacity);
    queue.reset();
  }
};

/// The handshake alone, every schedule with few preemptions: four are granted, the rest goes back.
template <class Self, bool short_way>
struct Gate : rl::test_suite<Self, 2> {
  static constexpr std::uint64_t granted = 3;
  LaneGate gate{has_asymmetric_barrier()};
  std::uint64_t kept = granted;

  void before() { gate.set_limit(granted, short_way); }

  void thread(unsigned index) {
    if (index == 0) {
      for (std::uint64_t i = 0; i < granted; ++i) {
        bool wake = false;
        if (!append_to(
                gate, short_way, [] {}, wake))
          return;
      }
    } else {
      gate.set_limit(0, false);
      heavy_barrier(has_asymmetric_barrier());
      kept = std::min(granted, gate.reach());
      gate.set_limit(kept, short_way);
    }
  }

  void after() { RL_ASSERT(gate.tail() <= kept); }
};
struct OneGate : Gate<OneGate, false> {};
struct OneShortGate : Gate<OneShortGate, true> {};

}  // namespace

int main() {
  return bounded<OneGate>(4) && bounded<OneShortGate>(4) && random<RoomIsNeverExceeded>(30'000) ? 0
                                                                                                : 1;
}
