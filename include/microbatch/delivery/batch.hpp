#pragma once

#include <cstdint>
#include <exception>
#include <memory>
#include <span>
#include <vector>

#include "../core/item_buffer.hpp"
#include "../core/window.hpp"
#include "call_meter.hpp"
#include "handler.hpp"
#include "put_plan.hpp"
#include "retry_plan.hpp"

namespace microbatch::inline v0_1::detail {

/// One window on its way from the emitter to its last item's end. Recycled with all its storage.
///
/// Threads: the token's. While `out`, everything but `out`, `given_up` and the items' columns
/// belongs to the thread that runs the callback.
template <class T>
struct Batch {
  enum class Next : std::uint8_t {
    call,  ///< the callback, for plan.take()
    turn,  ///< it has a result; the put waits for the windows before it (committed_in_order)
    put,   ///< the sink
  };

  ItemBuffer<T> items;
  WindowInfo info;
  RetryPlan plan;
  RetryPlan::Part part;  ///< being called or put
  std::uint32_t part_number = 0;
  std::vector<Rejection> rejections;
  std::unique_ptr<typename Handler<T>::Result> result;
  PutPlan puts;  ///< what of the result is still to be put

  std::size_t copies = 0;   ///< at the end of items: shown to the callback, settled elsewhere
  std::vector<bool> ended;  ///< by item; empty while none or all of them have ended
  std::size_t unsettled = 0;
  std::uint32_t put_failures = 0;
  CallMeter* meter = nullptr;  ///< lent to the thread that runs it
  TimePoint due{};
  Next next = Next::call;
  bool out = false;            ///< handed over
  bool begun = false;          ///< and its thread has come to it
  bool undone = false;         ///< some item was handed back or abandoned
  bool given_up = false;       ///< its items were counted as abandoned while it was out
  bool probe_granted = false;  ///< stalled, and another window was let ahead since its last attempt

  // What the thread that ran it brings back.
  std::exception_ptr call_error;
  Failure failure = Failure::poison;  ///< what call_error says about the items
  std::exception_ptr put_error;
  std::exception_ptr observer_error;

  /// The items that end with this window.
  [[nodiscard]] std::size_t owned() const noexcept { return items.size() - copies; }
  [[nodiscard]] bool has_ended(std::size_t i) const noexcept { return !ended.empty() && ended[i]; }
  /// Null while it has never held an item.
  [[nodiscard]] const ItemSlots<T>* slots() const noexcept {
    return items.data() == nullptr ? nullptr : &items.slots();
  }
  [[nodiscard]] std::span<T> span(const RetryPlan::Part& p) noexcept {
    return {items.data() + p.begin, p.size()};
  }
};

}  // namespace microbatch::inline v0_1::detail
