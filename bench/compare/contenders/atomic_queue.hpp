#pragma once

#include <atomic_queue/atomic_queue.h>
#include <atomic>
#include <memory>
#include <thread>

#include "../work.hpp"
#include "collector.hpp"

namespace contest {

template <class I, class Callback>
class AtomicQueue {
 public:
  static constexpr const char* name = "atomic-queue";
  static constexpr bool spins = true;

  AtomicQueue(const Setup& setup, Callback& callback) {
    consumer_ = std::jthread([this, window = setup.window, &callback] {
      spin_and_collect<I>(window, callback, closed_, [&](I* to, std::size_t n) {
        return pop_up_to(n, to, [&](I& item) { return queue_->try_pop(item); });
      });
    });
  }

  struct Producer {
    AtomicQueue& queue;
    void append(const I& item) {
      while (!queue.queue_->try_push(item)) std::this_thread::yield();
    }
  };
  Producer producer() { return {*this}; }

  void close() {
    closed_.store(true, std::memory_order_release);
    consumer_.join();
  }

 private:
  std::unique_ptr<atomic_queue::AtomicQueue2<I, capacity>> queue_ =
      std::make_unique<atomic_queue::AtomicQueue2<I, capacity>>();
  std::atomic<bool> closed_{false};
  std::jthread consumer_;
};

}  // namespace contest
