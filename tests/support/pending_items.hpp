#pragma once

#include <microbatch/core/backlog.hpp>
#include <microbatch/core/draft.hpp>
#include <microbatch/core/pending.hpp>

#include <cstddef>
#include <cstdint>
#include <new>
#include <utility>
#include <vector>

namespace test {

/// Pending items without a stream, for an emitter or a draft alone.
template <class T>
class PendingItems {
 public:
  using Slots = microbatch::detail::ItemSlots<T>;

  void add(T item) {
    add(std::move(item), [](Slots&) {});
  }
  void add_stamped(T item, microbatch::TimePoint stamp) {
    backlog_.stamped = true;
    add(std::move(item), [&](Slots& slot) { slot.set(slot.stamps, 0, stamp); });
  }
  void add_weighing(T item, std::uint64_t weight) {
    add(std::move(item), [&](Slots& slot) { slot.set(slot.weights, 0, weight); });
  }

  /// What the draft named leaves, and is returned.
  std::vector<T> leave(microbatch::Draft<T>& draft) {
    microbatch::detail::ItemBuffer<T> window;
    discarded_.clear();
    draft.carry_out(window, discarded_);
    return moved_out(window);
  }
  /// What the last draft discarded.
  [[nodiscard]] std::vector<T> discarded() { return moved_out(discarded_); }
  /// The first n leave.
  std::vector<T> leave(std::size_t n) {
    microbatch::Draft<T> draft;
    draft.begin(backlog_);
    draft.take_front(n);
    return leave(draft);
  }

  [[nodiscard]] microbatch::Pending<T>& operator*() noexcept { return pending_; }
  [[nodiscard]] microbatch::Pending<T>* operator->() noexcept { return &pending_; }
  [[nodiscard]] microbatch::detail::Backlog<T>& backlog() noexcept { return backlog_; }
  [[nodiscard]] std::vector<T> items() const {
    const auto span = pending_.items();
    return {span.begin(), span.end()};
  }

 private:
  static void lost(void*, Slots&, std::size_t) {}

  template <class F>
  void add(T&& item, F fill_in) {
    Slots slot(1);
    ::new (static_cast<void*>(slot.at(0))) T(std::move(item));
    fill_in(slot);
    backlog_.take_in(slot, 0, 1);
  }
  static std::vector<T> moved_out(microbatch::detail::ItemBuffer<T>& buffer) {
    std::vector<T> items;
    for (std::size_t i = 0; i < buffer.size(); ++i) items.push_back(std::move(buffer[i]));
    buffer.clear();
    return items;
  }

  microbatch::detail::Backlog<T> backlog_{{nullptr, &lost}};
  microbatch::detail::ItemBuffer<T> discarded_;
  microbatch::Pending<T> pending_{backlog_};
};

}  // namespace test
