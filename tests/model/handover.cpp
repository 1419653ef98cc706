// Chunk hand-over. The consumer gives a chunk back to the pool when it moves on to the next one; a
// producer that needs a chunk takes the last one given, or makes one where there is none. The pool
// is a stack without a lock: its top is a number and a tag, and each exchange raises the tag.
//
// Allowed: a chunk made though another is just being given. Forbidden: a slot written before the
// last user is done with it, a chunk that two have taken, a chunk that is in no hand and not in the
// pool.

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

/// Two producers and the consumer at the stack itself: each takes two chunks, writes to both, and
/// gives them back in the order in which it took them. Between another's look at the top and its
/// exchange, the same chunk may thus come to lie on top again, with another one under it.
struct Pool : rl::test_suite<Pool, 3> {
  using Chunks = microbatch::detail::ChunkPool<Item>;
  using Chunk = microbatch::detail::Chunk<Item>;
  std::unique_ptr<Chunks> pool;
  std::uint32_t most[3] = {0, 0, 0};  // the highest number that each has had

  void before() {
    pool = std::make_unique<Chunks>(1);
    Chunk* const first = pool->take();
    Chunk* const second = pool->take();
    pool->give(first);
    pool->give(second);
  }

  void thread(unsigned index) {
    Chunk* taken[2];
    for (int i = 0; i < 2; ++i) {
      taken[i] = pool->take();
      new (taken[i]->slots.at(0)) Item(static_cast<int>(index), i);
      most[index] = std::max(most[index], taken[i]->number);
    }
    for (Chunk* chunk : taken) {
      chunk->slots.destroy(0, 1);
      pool->give(chunk);
    }
  }

  void after() {
    const std::uint32_t made = std::max({2U, most[0], most[1], most[2]});
    std::vector<bool> found(made + 1);
    for (std::uint32_t i = 0; i < made; ++i) {
      const std::uint32_t number = pool->take()->number;
      RL_ASSERT(number <= made &&
                !found[number]);  // a chunk that was lost makes take() make another
      found[number] = true;
    }
    pool.reset();
  }
};

}  // namespace

int main() { return random<Pool>(20'000) && random<ChunksGoRound>(20'000) ? 0 : 1; }
