// Stamps switched on. use_stamps() stops every lane, prepares its chunk, sets its flag and passes
// the heavy barrier; it holds only if every lane is then empty and quiet, and is taken back
// otherwise.
//
// Allowed: it fails because of an append under way. Forbidden: it holds and a later item carries no
// stamp; a producer that sees the flag and not what it stands for.

#include "harness.hpp"

namespace {

using namespace model;

struct SwitchedOn : rl::test_suite<SwitchedOn, 3> {
  std::unique_ptr<Queue> queue;
  Lane<Item>* lane = nullptr;
  bool held = false;

  void before() {
    queue = std::make_unique<Queue>(100);
    lane = &queue->lanes.acquire();
    RL_ASSERT(queue->push(*lane, 0, 0));  // its chunk came without stamps
    queue->sweep();
  }

  void thread(unsigned index) {
    if (index == 0) {
      for (int i = 1; i < 4; ++i) RL_ASSERT(queue->push(*lane, 0, i));
    } else if (index == 1) {
      auto& other = queue->lanes.acquire();
      RL_ASSERT(queue->push(other, 1, 0));
    } else {
      held = queue->lanes.use_stamps();
      queue->sweep();
    }
  }

  void after() {
    queue->lanes.refresh();
    if (held && lane->waiting() > 0) RL_ASSERT(lane->reader().front_stamp() != TimePoint{});
    queue->sweep();
    RL_ASSERT(queue->swept == 5);
    queue.reset();
  }
};

}  // namespace

int main() { return random<SwitchedOn>(30'000) ? 0 : 1; }
