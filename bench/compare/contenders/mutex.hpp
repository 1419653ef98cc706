#pragma once

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <span>
#include <thread>
#include <vector>

#include "../work.hpp"

namespace contest {

/// What a good engineer writes by hand: reserves, swaps, and notifies only at a full window.
template <class I, class Callback>
class Mutex {
 public:
  static constexpr const char* name = "mutex";
  static constexpr bool spins = false;

  Mutex(const Setup& setup, Callback& callback) : window_(setup.window) {
    pending_.reserve(capacity);
    consumer_ = std::jthread([this, &callback] { consume(callback); });
  }

  struct Producer {
    Mutex& queue;
    void append(const I& item) { queue.append(item); }
  };
  Producer producer() { return {*this}; }

  void close() {
    {
      std::lock_guard lock(mutex_);
      closed_ = true;
    }
    ready_.notify_one();
    consumer_.join();
  }

 private:
  void append(const I& item) {
    bool full_window = false;
    {
      std::unique_lock lock(mutex_);
      room_.wait(lock, [&] { return pending_.size() < capacity; });
      pending_.push_back(item);
      full_window = pending_.size() % window_ == 0;
    }
    if (full_window) ready_.notify_one();
  }

  void consume(Callback& callback) {
    std::vector<I> taken;
    taken.reserve(capacity);
    for (;;) {
      bool was_full = false;
      {
        std::unique_lock lock(mutex_);
        ready_.wait(lock, [&] { return pending_.size() >= window_ || closed_; });
        was_full = pending_.size() == capacity;
        taken.swap(pending_);
      }
      if (was_full) room_.notify_all();
      if (taken.empty()) return;
      const std::span<const I> all(taken);
      for (std::size_t i = 0; i < all.size(); i += window_)
        callback(all.subspan(i, std::min(window_, all.size() - i)));
      taken.clear();
    }
  }

  const std::size_t window_;
  std::mutex mutex_;
  std::condition_variable ready_;
  std::condition_variable room_;
  std::vector<I> pending_;
  bool closed_ = false;
  std::jthread consumer_;
};

}  // namespace contest
