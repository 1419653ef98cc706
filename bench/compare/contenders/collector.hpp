#pragma once

#include <atomic>
#include <cstddef>
#include <span>
#include <thread>
#include <vector>

#include "../work.hpp"

namespace contest {

/// How the queues that know nothing of windows fill one: `take(to, most)` brings what is there.
template <class I, class Callback>
class Collector {
 public:
  Collector(std::size_t window, Callback& callback) : window_(window), callback_(callback) {}

  template <class Take>
  std::size_t fill(Take take) {
    const std::size_t n = take(window_.data() + size_, window_.size() - size_);
    size_ += n;
    if (size_ == window_.size()) emit();
    return n;
  }
  void emit() {
    if (size_ > 0) callback_(std::span<const I>(window_.data(), size_));
    size_ = 0;
  }

 private:
  std::vector<I> window_;
  std::size_t size_ = 0;
  Callback& callback_;
};

/// Up to n items from a queue that gives one at a time.
template <class I, class TryPop>
std::size_t pop_up_to(std::size_t n, I* to, TryPop try_pop) {
  std::size_t taken = 0;
  while (taken < n && try_pop(to[taken])) ++taken;
  return taken;
}

/// A consumer that spins, and lets others run when that does not help.
template <class I, class Callback, class Take>
void spin_and_collect(std::size_t window, Callback& callback, const std::atomic<bool>& closed,
                      Take take) {
  Collector<I, Callback> collector(window, callback);
  for (int misses = 0;;) {
    const bool last = closed.load(std::memory_order_acquire);  // before the look
    if (collector.fill(take) > 0) {
      misses = 0;
    } else if (last) {
      return collector.emit();
    } else if (++misses > 64) {
      std::this_thread::yield();
    }
  }
}

}  // namespace contest
