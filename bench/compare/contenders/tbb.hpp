#pragma once

#include <oneapi/tbb/concurrent_queue.h>

#include <cstdint>
#include <thread>

#include "../work.hpp"
#include "collector.hpp"

namespace contest {

template <class I, class Callback>
class Tbb {
 public:
  static constexpr const char* name = "tbb";
  static constexpr bool spins = false;

  Tbb(const Setup& setup, Callback& callback) {
    queue_.set_capacity(capacity);
    consumer_ = std::jthread([this, window = setup.window, &callback] {
      Collector<I, Callback> collector(window, callback);
      bool ended = false;
      while (!ended)
        collector.fill([&](I* to, std::size_t n) {
          queue_.pop(to[0]);  // sleeps
          const std::size_t taken =
              1 + pop_up_to(n - 1, to + 1, [&](I& item) { return queue_.try_pop(item); });
          ended = to[taken - 1].words[0] == end;  // nothing comes after it
          return taken - (ended ? 1 : 0);
        });
      collector.emit();
    });
  }

  struct Producer {
    Tbb& queue;
    void append(const I& item) { queue.queue_.push(item); }
  };
  Producer producer() { return {*this}; }

  void close() {
    queue_.push(item_of<sizeof(I)>(end));
    consumer_.join();
  }

 private:
  static constexpr std::uint64_t end = ~std::uint64_t{0};

  oneapi::tbb::concurrent_bounded_queue<I> queue_;
  std::jthread consumer_;
};

}  // namespace contest
