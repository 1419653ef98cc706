#pragma once

#include <concurrentqueue/blockingconcurrentqueue.h>
#include <concurrentqueue/concurrentqueue.h>

#include <atomic>
#include <cstdint>
#include <thread>

#include "../work.hpp"
#include "collector.hpp"

namespace contest {

/// moodycamel's queue has no bound; it starts with room for our capacity.
template <class I, class Callback, bool Blocking, bool Token>
class Moodycamel {
 public:
  static constexpr const char* name =
      Blocking ? (Token ? "moodycamel-blocking-token" : "moodycamel-blocking")
               : (Token ? "moodycamel-token" : "moodycamel");
  static constexpr bool spins = !Blocking;
  using Queue = std::conditional_t<Blocking, moodycamel::BlockingConcurrentQueue<I>,
                                   moodycamel::ConcurrentQueue<I>>;

  Moodycamel(const Setup& setup, Callback& callback) {
    consumer_ = std::jthread([this, window = setup.window, &callback] {
      moodycamel::ConsumerToken token(queue_);
      if constexpr (Blocking)
        block_and_collect(window, callback, token);
      else
        spin_and_collect<I>(window, callback, closed_,
                            [&](I* to, std::size_t n) { return try_take(token, to, n); });
    });
  }

  class Producer {
   public:
    explicit Producer(Queue& queue) : queue_(queue), token_(queue) {}
    void append(const I& item) {
      if constexpr (Token)
        queue_.enqueue(token_, item);
      else
        queue_.enqueue(item);
    }

   private:
    struct NoToken {
      explicit NoToken(Queue&) {}
    };
    Queue& queue_;
    std::conditional_t<Token, moodycamel::ProducerToken, NoToken> token_;
  };
  Producer producer() { return Producer(queue_); }

  void close() {
    closed_.store(true, std::memory_order_release);
    if constexpr (Blocking) queue_.enqueue(item_of<sizeof(I)>(wake_up));
    consumer_.join();
  }

 private:
  static constexpr std::uint64_t wake_up = ~std::uint64_t{0};

  std::size_t try_take(moodycamel::ConsumerToken& token, I* to, std::size_t n) {
    if constexpr (Token)
      return queue_.try_dequeue_bulk(token, to, n);
    else
      return queue_.try_dequeue_bulk(to, n);
  }

  void block_and_collect(std::size_t window, Callback& callback, moodycamel::ConsumerToken& token) {
    Collector<I, Callback> collector(window, callback);
    bool woken_to_end = false;
    // The item that wakes for the end is taken out where it arrives, at the end of a take or not.
    const auto without_wake_up = [&](I* to, std::size_t n) {
      if (!closed_.load(std::memory_order_acquire)) return n;
      for (std::size_t i = 0; i < n; ++i)
        if (to[i].words[0] == wake_up) {
          to[i] = to[n - 1];
          woken_to_end = true;
          return n - 1;
        }
      return n;
    };
    while (!woken_to_end)
      collector.fill([&](I* to, std::size_t n) {
        if constexpr (Token)
          return without_wake_up(to, queue_.wait_dequeue_bulk(token, to, n));
        else
          return without_wake_up(to, queue_.wait_dequeue_bulk(to, n));
      });
    while (collector.fill([&](I* to, std::size_t n) { return try_take(token, to, n); }) > 0) {
    }
    collector.emit();
  }

  Queue queue_{capacity};
  std::atomic<bool> closed_{false};
  std::jthread consumer_;
};

template <class I, class Callback>
using MoodycamelBlocking = Moodycamel<I, Callback, true, false>;
template <class I, class Callback>
using MoodycamelBlockingToken = Moodycamel<I, Callback, true, true>;
template <class I, class Callback>
using MoodycamelSpinning = Moodycamel<I, Callback, false, false>;
template <class I, class Callback>
using MoodycamelSpinningToken = Moodycamel<I, Callback, false, true>;

}  // namespace contest
