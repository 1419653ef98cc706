#pragma once

#include <cstddef>
#include <utility>
#include <vector>

#include <microbatch/core/clock.hpp>

// What a thread pool keeps of the engines it drives. Both run through the engines' places
// themselves, so that neither a wake-up nor a timer allocates. Threads: under the pool's lock.

namespace microbatch::inline v0_1::detail {

/// Places whose turn is due, first come first served, each at most once.
/// A Place has `Place* next_ready` and `bool ready`.
template <class Place>
class ReadyQueue {
 public:
  [[nodiscard]] bool empty() const noexcept { return first_ == nullptr; }

  void push(Place& place) noexcept {
    place.ready = true;
    place.next_ready = nullptr;
    (first_ == nullptr ? first_ : last_->next_ready) = &place;
    last_ = &place;
  }
  [[nodiscard]] Place* pop() noexcept {
    Place* place = first_;
    if (place == nullptr) return nullptr;
    first_ = place->next_ready;
    place->ready = false;
    return place;
  }
  void remove(Place& place) noexcept {
    if (!std::exchange(place.ready, false)) return;
    Place* before = nullptr;
    for (Place* p = first_; p != nullptr; before = std::exchange(p, p->next_ready)) {
      if (p != &place) continue;
      (before == nullptr ? first_ : before->next_ready) = place.next_ready;
      if (last_ == &place) last_ = before;
      return;
    }
  }
  void clear() noexcept { first_ = nullptr; }

 private:
  Place* first_ = nullptr;
  Place* last_ = nullptr;
};

/// Places by the time of their next turn: a binary heap, each place knowing its index.
/// A Place has `TimePoint next` and `std::size_t heap_index`, which is `none` at first.
template <class Place>
class TimerHeap {
 public:
  static constexpr std::size_t none = ~std::size_t{0};

  /// All memory for n places.
  void reserve(std::size_t n) { heap_.reserve(n); }

  /// The place whose turn comes next, or null.
  [[nodiscard]] Place* first() const noexcept { return heap_.empty() ? nullptr : heap_.front(); }

  /// Never: the place is not in the heap, afterwards.
  void schedule(Place& place, TimePoint next) {
    place.next = next;
    if (next == never) return unschedule(place);
    if (place.heap_index == none) {
      place.heap_index = heap_.size();
      heap_.push_back(&place);
    }
    sift(place.heap_index);
  }
  void unschedule(Place& place) noexcept {
    if (place.heap_index == none) return;
    const std::size_t hole = std::exchange(place.heap_index, none);
    Place* last = heap_.back();
    heap_.pop_back();
    if (last == &place) return;
    heap_[hole] = last;
    last->heap_index = hole;
    sift(hole);
  }
  void clear() noexcept {
    for (Place* place : heap_) place->heap_index = none;
    heap_.clear();
  }

 private:
  /// Moves the place at i up or down to where it belongs.
  void sift(std::size_t i) noexcept {
    const auto swap = [&](std::size_t a, std::size_t b) {
      std::swap(heap_[a], heap_[b]);
      heap_[a]->heap_index = a;
      heap_[b]->heap_index = b;
    };
    for (; i > 0 && heap_[i]->next < heap_[(i - 1) / 2]->next; i = (i - 1) / 2)
      swap(i, (i - 1) / 2);
    for (;;) {
      std::size_t least = i;
      for (const std::size_t child : {2 * i + 1, 2 * i + 2})
        if (child < heap_.size() && heap_[child]->next < heap_[least]->next) least = child;
      if (least == i) return;
      swap(i, least);
      i = least;
    }
  }

  std::vector<Place*> heap_;
};

}  // namespace microbatch::inline v0_1::detail
