#pragma once

/// What the models share: items that notice a data race on their slot, a thread that sleeps until
/// it is rung, a stream's queue with the engine's own Sleeper, and the search.

#define MICROBATCH_MODEL "model/seam.hpp"

#include <microbatch/engine/sleeper.hpp>
#include <microbatch/queue/lanes.hpp>

#include <cstdlib>
#include <cstring>
#include <iostream>
#include <map>
#include <memory>
#include <optional>
#include <typeinfo>
#include <vector>

namespace model {

using microbatch::never;
using microbatch::TimePoint;
using microbatch::detail::Atomic;
using microbatch::detail::Backlog;
using microbatch::detail::ConditionVariable;
using microbatch::detail::has_asymmetric_barrier;
using microbatch::detail::heavy_barrier;
using microbatch::detail::is_light_barrier_light;
using microbatch::detail::Lane;
using microbatch::detail::LaneGate;
using microbatch::detail::Lanes;
using microbatch::detail::Mutex;
using microbatch::detail::Room;
using microbatch::detail::Sleeper;
using microbatch::detail::StreamCore;
using microbatch::detail::Wake;

// --- slots that notice data races
// --------------------------------------------------------------------

/// Beside each block of over-aligned memory (the slots are such blocks) stands a shadow: one
/// rl::var per word, written by whoever constructs or destroys an item there and read by whoever
/// reads it. Allocating and freeing a block count as writes to all of it.
class Shadow {
 public:
  static void born(void* block, std::size_t size) {
    if (!rl::is_ctx()) return;
    auto* made = new (std::malloc(sizeof(Block)))
        Block{size, static_cast<Cell*>(std::calloc(size / word + 1, sizeof(Cell))), {}};
    made->alive($).store(1);
    blocks()[static_cast<char*>(block)] = made;
  }
  static void died(void* block) {
    if (!rl::is_ctx()) return;
    const auto found = blocks().find(static_cast<char*>(block));
    if (found == blocks().end()) return;
    Block* gone = found->second;
    blocks().erase(found);
    gone->alive($).store(0);
    for (std::size_t i = 0; i <= gone->size / word; ++i) {
      Cell& cell = gone->cells[i];
      if (!cell.used) continue;
      cell.get()($).store(0);
      cell.get().~var();
    }
    std::free(gone->cells);
    gone->~Block();
    std::free(gone);
  }
  static void write(const void* at) {
    if (auto* var = find(at)) (*var)($).store(1);
  }
  static void read(const void* at) {
    if (auto* var = find(at)) (void)(*var)($).load();
  }

 private:
  static constexpr std::size_t word = 8;

  struct Cell {
    bool used;
    alignas(rl::var<int>) std::byte storage[sizeof(rl::var<int>)];
    rl::var<int>& get() { return *reinterpret_cast<rl::var<int>*>(storage); }
  };
  struct Block {
    std::size_t size;
    Cell* cells;
    rl::var<int> alive;
  };

  /// Never destroyed: a failed execution leaves blocks behind.
  static rl::map<char*, Block*>::type& blocks() {
    using Blocks = rl::map<char*, Block*>::type;
    static Blocks& all = *new (std::malloc(sizeof(Blocks))) Blocks;
    return all;
  }

  static rl::var<int>* find(const void* at) {
    char* const p = const_cast<char*>(static_cast<const char*>(at));
    auto it = blocks().upper_bound(p);
    if (it == blocks().begin()) return nullptr;
    --it;
    const auto offset = static_cast<std::size_t>(p - it->first);
    if (offset >= it->second->size) return nullptr;  // on a stack
    (void)it->second->alive($).load();
    Cell& cell = it->second->cells[offset / word];
    if (!cell.used) {
      cell.used = true;
      new (cell.storage) rl::var<int>(0);
    }
    return &cell.get();
  }
};

/// The n-th item of a producer.
class Item {
 public:
  Item(int producer, int number) noexcept : producer_(producer), number_(number) {
    Shadow::write(this);
  }
  Item(Item&& other) noexcept : producer_(other.producer_), number_(other.number_) {
    Shadow::read(&other);
    Shadow::write(this);
  }
  Item& operator=(Item&&) = delete;
  ~Item() { Shadow::write(this); }

  [[nodiscard]] int producer() const noexcept { return Shadow::read(this), producer_; }
  [[nodiscard]] int number() const noexcept { return Shadow::read(this), number_; }

 private:
  int producer_;
  int number_;
};
static_assert(sizeof(Item) == 8, "one word of shadow per item");

// --- the parts around the queue
// ------------------------------------------------------------------------

/// Sleeps until it is rung; a ring that came before counts.
class Parker {
 public:
  void ring() {
    {
      std::lock_guard lock(mutex_);
      rung_ = true;
    }
    changed_.notify_one();
  }
  void sleep() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return rung_; });
    rung_ = false;
  }

 private:
  Mutex mutex_;
  ConditionVariable changed_;
  bool rung_ = false;
};

/// A clock that promises only what happens-before promises: two reads that are not ordered may see
/// the time in any order. One thread moves it.
class WeakClock : public microbatch::Clock {
 public:
  [[nodiscard]] TimePoint now() const noexcept override {
    return TimePoint(microbatch::Duration(ticks_.load(std::memory_order_relaxed)));
  }
  void tick() noexcept { ticks_.fetch_add(1, std::memory_order_relaxed); }

 private:
  Atomic<std::int64_t> ticks_{1};
};

}  // namespace model

/// Of a stream, what its queue and its Sleeper need. (The whole one has a token of the operating
/// system, on which a simulated thread must not wait.)
template <>
class microbatch::detail::StreamCore<model::Item> {
 public:
  StreamCore(std::int64_t items, bool stamped, std::size_t capacity)
      : wake(clock), room(items, 0), lanes(room, wake, clock, capacity, {.stamped = stamped}) {}

  void close_input() {
    lanes.close();
    closed_.store(true, std::memory_order_seq_cst);
    room.notify();
    wake.ring_always();
  }
  [[nodiscard]] bool closed() const noexcept { return closed_.load(std::memory_order_relaxed); }

  model::WeakClock clock;
  Wake wake;
  Room room;
  Lanes<model::Item> lanes;

 private:
  Atomic<bool> closed_{false};
};

namespace model {

/// A stream's queue, and the consumer's side of it.
struct Queue : StreamCore<Item> {
  explicit Queue(std::int64_t items, bool stamped = false, std::size_t capacity = 16)
      : StreamCore(items, stamped, capacity) {
    wake.on_wake([this] { parker.ring(); });
  }

  /// What Producer<T> does, without waiting.
  bool push(Lane<Item>& lane, int producer, int number) {
    for (;;) {
      if (lane.push_short(Item(producer, number)) || lane.push(Item(producer, number))) return true;
      if (lanes.refill(lane) != Lane<Item>::Refill::ready) return false;
    }
  }

  /// Sweeps all there is in the lanes that are known, and checks the order of each producer.
  /// Returns how many came.
  std::size_t sweep_known(TimePoint before = never) {
    const std::size_t n = lanes.sweep(backlog, std::size_t{1} << 30, before);
    swept += n;
    for (std::size_t i = 0; i < backlog.front.size(); ++i) {
      const Item& item = backlog.front[i];
      RL_ASSERT(item.number() > last[item.producer()]);
      last[item.producer()] = item.number();
    }
    backlog.front.clear();
    return n;
  }
  std::size_t sweep(TimePoint before = never) {
    lanes.refresh();
    return sweep_known(before);
  }

  /// As an engine begins its turn.
  void begin_turn() {
    lanes.refresh();
    (void)sleeper.wake_up(never, false);
  }

  static void lost(void*, microbatch::detail::ItemSlots<Item>&, std::size_t) {}

  Parker parker;
  Sleeper<Item> sleeper{*this};
  Backlog<Item> backlog{Backlog<Item>::Lost{nullptr, &lost}};
  std::size_t swept = 0;
  int last[4] = {-1, -1, -1, -1};
};

/// An append on the counters alone, by the short way where there is one. False: nothing happened.
template <class Construct>
bool append_to(LaneGate& gate, bool short_way, Construct construct, bool& wake) {
  if (short_way && is_light_barrier_light()) {
    bool lost = false;
    const std::uint64_t at = gate.enter_short(lost);
    if (at == LaneGate::none) {
      if (lost) (void)gate.leave();
      return false;
    }
    construct();
    wake = gate.publish_short(at);
    return true;
  }
  if (gate.enter(1) == 0) {
    (void)gate.leave();
    return false;
  }
  construct();
  wake = gate.publish(1);
  return true;
}

// --- the search
// ------------------------------------------------------------------------------------------

/// MICROBATCH_MODEL_SCALE=100 searches a hundred times as long.
[[nodiscard]] inline std::uint64_t scale() {
  const char* text = std::getenv("MICROBATCH_MODEL_SCALE");
  return text == nullptr ? 1 : std::strtoull(text, nullptr, 10);
}

/// MICROBATCH_MODEL_ONLY=OneGate searches those suites only whose names contain that.
[[nodiscard]] inline bool is_wanted(const char* suite) {
  const char* only = std::getenv("MICROBATCH_MODEL_ONLY");
  return only == nullptr || std::strstr(suite, only) != nullptr;
}

/// With both forms of the barrier; see seam.hpp. (rl::simulate would compile each model for three
/// schedulers.)
template <class Model, class Scheduler>
bool search(rl::test_params params) {
  if (!is_wanted(typeid(Model).name())) return true;
  std::ostream nowhere(nullptr);
  params.progress_stream = &nowhere;
  params.test_name = typeid(Model).name();  // mangled, but readable
  for (const bool asymmetric : {false, true}) {
    microbatch::detail::asymmetric_barrier = asymmetric;
    rl::ostringstream failure;
    if (rl::run_test<Model, Scheduler>(params, failure, false) != rl::test_result_success) {
      std::cout << params.test_name << (asymmetric ? ", asymmetric barrier\n" : ", fences\n");
      params.initial_state = failure.str();  // once more, with the history
      params.collect_history = true;
      rl::ostringstream again;
      (void)rl::run_test<Model, Scheduler>(params, again, true);
      return false;
    }
    std::cout << params.test_name << ": " << params.stop_iteration << " executions\n";
  }
  return true;
}

/// Random schedules, the same ones at each run.
template <class Model>
bool random(std::uint64_t executions) {
  rl::test_params params;
  params.search_type = rl::random_scheduler_type;
  params.iteration_count = executions * scale();
  return search<Model, rl::random_scheduler<Model::params::thread_count>>(params);
}

/// All schedules with at most so many preemptions.
template <class Model>
bool bounded(unsigned preemptions) {
  rl::test_params params;
  params.search_type = rl::fair_context_bound_scheduler_type;
  params.context_bound = preemptions;
  return search<Model, rl::context_bound_scheduler<Model::params::thread_count>>(params);
}

}  // namespace model

// The slots' memory: relacy tracks the plain operators, these are ours.

void* operator new(std::size_t size, std::align_val_t alignment) {
  const auto align = static_cast<std::size_t>(alignment);
  void* block = std::aligned_alloc(align, (size + align - 1) / align * align);
  if (block == nullptr) throw std::bad_alloc();
  model::Shadow::born(block, size);
  return block;
}
void operator delete(void* block, std::align_val_t) noexcept {
  if (block == nullptr) return;
  model::Shadow::died(block);
  std::free(block);
}
