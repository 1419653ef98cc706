// Chunk hand-over. The consumer gives a chunk back to the pool when it moves on to the next one; a
// producer that needs a chunk takes the last one given, or makes one where the lock is taken.
//
// Allowed: a chunk made though another lies in the pool, a chunk freed for want of the lock. Forbidden:
// a slot written before the consumer is done with it, a chunk leaked or freed twice.

#include "harness.hpp"

namespace {

using namespace model;

/// Chunks of two slots go round between two lanes and the consumer.
struct ChunksGoRound : rl::test_suite<ChunksGoRound, 3> {
  static constexpr int items = 7;
  std::unique_ptr<Queue> queue;

  void before() { queue = std::make_unique<Queue>(100); }

  void thread(unsigned index) {
    if (index < 2) {
      auto& lane = queue->lanes.acquire();
      const int mine = index == 0 ? items : 3;
      for (int i = 0; i < mine; ++i) RL_ASSERT(queue->push(lane, static_cast<int>(index), i));
    } else {
      for (int round = 0; round < items; ++round) queue->sweep();
    }
  }

  void after() {
    queue->sweep();
    RL_ASSERT(queue->swept == items + 3);
    queue.reset();
  }
};

/// Nobody waits in the pool: taking and giving from two sides, all schedules with few preemptions.
struct Pool : rl::test_suite<Pool, 2> {
  std::unique_ptr<microbatch::detail::ChunkPool<Item>> pool;

  void before() { pool = std::make_unique<microbatch::detail::ChunkPool<Item>>(1); }
  void thread(unsigned index) {
    for (int i = 0; i < 2; ++i) {
      auto* chunk = pool->take();
      new (chunk->slots.at(0)) Item(static_cast<int>(index), i);
      chunk->slots.destroy(0, 1);
      pool->give(chunk);
    }
  }
  void after() { pool.reset(); }
};

}  // namespace

int main() { return random<ChunksGoRound>(30'000) && random<Pool>(20'000) ? 0 : 1; }
