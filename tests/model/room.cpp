// Room. Lanes take room by compare-exchange, settlement gives it back and then looks for waiters; a
// waiter counts itself and then looks for room.
//
// Allowed: a waiter that wakes and finds nothing. Forbidden: more taken than there is, room lost,
// and a producer that sleeps beside free room (relacy reports a deadlock).

#include "harness.hpp"

namespace {

using namespace model;

/// Two producers want the one place that the settler gives back, one after the other.
struct BlockedProducers : rl::test_suite<BlockedProducers, 3> {
  std::unique_ptr<Room> room;

  void before() {
    room = std::make_unique<Room>(1, 0);
    RL_ASSERT(room->take(1) == 1);
  }

  void thread(unsigned index) {
    if (index < 2) {
      if (room->take(2) == 0) {
        Room::Waiter waiter(*room, 0);
        while (room->take(2) == 0) (void)waiter.until(never);
      }
    }
    room->give(1, 0);  // the third gives back what was taken before
    room->notify();
  }

  void after() {
    RL_ASSERT(room->left() == 1 && !room->has_waiters());
    room.reset();
  }
};

/// One waiter, every schedule with few preemptions.
struct OneWaiter : rl::test_suite<OneWaiter, 2> {
  Room room{1, 8};

  void before() { RL_ASSERT(room.take(1) == 1 && room.take_bytes(8)); }

  void thread(unsigned index) {
    if (index == 0) {
      Room::Waiter waiter(room, 5);
      while (!room.take_bytes(5)) (void)waiter.until(never);
    } else {
      room.give(1, 8);
      room.notify();
    }
  }

  void after() { RL_ASSERT(room.left() == 1 && room.bytes() == 5); }
};

}  // namespace

int main() { return bounded<OneWaiter>(3) && random<BlockedProducers>(30'000) ? 0 : 1; }
