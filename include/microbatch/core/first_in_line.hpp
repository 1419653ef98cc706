#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "clock.hpp"

namespace microbatch::inline v0_1::detail {

/// Which of many queues has the oldest front: a heap of fronts that is made when somebody first
/// asks, so that those who never ask pay for one comparison. Fronts that have changed since they
/// were noted are found out when they come up.
///
/// Threads: one at a time.
class FirstInLine {
 public:
  /// Queue `id` has a new front.
  void note(TimePoint front, std::uint32_t id) noexcept {
    if (!kept_) return;
    if (heap_.size() >= most_) return forget();  // nobody has asked for long
    heap_.push_back({front, id});                // within what rebuild() reserved
    std::push_heap(heap_.begin(), heap_.end(), later_first);
  }

  /// The id of the queue with the oldest front, among `queues`; `front_of(id)` is its front,
  /// `never` where it is empty. `queues` where all are empty.
  template <class Front>
  [[nodiscard]] std::size_t ask(std::size_t queues, Front&& front_of) {
    if (!kept_) rebuild(queues, front_of);
    while (!heap_.empty()) {
      const auto [front, id] = heap_.front();
      if (front_of(id) == front) return id;
      std::pop_heap(heap_.begin(), heap_.end(), later_first);
      heap_.pop_back();
    }
    return queues;
  }
  void forget() noexcept {
    kept_ = false;
    heap_.clear();
  }

 private:
  struct Noted {
    TimePoint front;
    std::uint32_t id;
  };
  static bool later_first(const Noted& a, const Noted& b) noexcept {
    return std::pair(a.front, a.id) > std::pair(b.front, b.id);
  }

  template <class Front>
  void rebuild(std::size_t queues, Front&& front_of) {
    heap_.clear();
    most_ = 2 * queues + 64;
    heap_.reserve(most_);
    for (std::size_t id = 0; id < queues; ++id)
      if (const TimePoint front = front_of(id); front != never)
        heap_.push_back({front, static_cast<std::uint32_t>(id)});
    std::make_heap(heap_.begin(), heap_.end(), later_first);
    kept_ = true;
  }

  std::vector<Noted> heap_;
  std::size_t most_ = 0;
  bool kept_ = false;
};

}  // namespace microbatch::inline v0_1::detail
