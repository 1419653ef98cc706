#pragma once

#include <algorithm>
#include <atomic>
#include <boost/lockfree/queue.hpp>
#include <thread>

#include "../work.hpp"
#include "collector.hpp"

namespace contest {

template <class I, class Callback>
class BoostLockfree {
 public:
  static constexpr const char* name = "boost-lockfree";
  static constexpr bool spins = true;

  BoostLockfree(const Setup& setup, Callback& callback) {
    consumer_ = std::jthread([this, window = setup.window, &callback] {
      spin_and_collect<I>(window, callback, closed_, [&](I* to, std::size_t n) {
        return pop_up_to(n, to, [&](I& item) { return queue_.pop(item); });
      });
    });
  }

  struct Producer {
    BoostLockfree& queue;
    void append(const I& item) {
      while (!queue.queue_.bounded_push(item)) std::this_thread::yield();
    }
  };
  Producer producer() { return {*this}; }

  void close() {
    closed_.store(true, std::memory_order_release);
    consumer_.join();
  }

 private:
  static constexpr std::size_t most = 65'534;  // its indices have 16 bits, and two are its own

  boost::lockfree::queue<I> queue_{std::min(most, capacity)};
  std::atomic<bool> closed_{false};
  std::jthread consumer_;
};

}  // namespace contest
