#pragma once

#include <exception>

#include "../core/window_event.hpp"
#include "../delivery/batch.hpp"
#include "../stream_core.hpp"

namespace microbatch::inline v0_1::detail {

template <class T>
[[nodiscard]] WindowEvent window_event(WindowEvent::Kind kind, const StreamCore<T>& core,
                                       const Batch<T>& batch, TimePoint at) noexcept {
  const bool settled = kind == WindowEvent::Kind::settled;
  return {.kind = kind,
          .stream = core.options().name,
          .sequence = batch.info.sequence,
          .part = settled ? 0 : batch.part_number,
          .attempt = batch.part.attempts,
          .reason = batch.info.reason,
          .items = settled ? batch.items.size() : batch.part.size(),
          .emitted_at = batch.info.emitted_at,
          .begun_at = batch.info.emitted_at,
          .at = at};
}

/// An attempt as long as it lives: tells the observer that it begins, and how it ended.
///
/// Threads: the one that makes the attempt.
template <class T>
class Attempt {
 public:
  Attempt(const StreamCore<T>& core, const WindowObserver& observer, Batch<T>& batch) noexcept
      : core_(core), observer_(observer), batch_(batch) {
    if (!observer_) return;
    put_only_ = batch.next == Batch<T>::Next::put;
    tell(WindowEvent::Kind::begun);
  }
  Attempt(const Attempt&) = delete;
  Attempt& operator=(const Attempt&) = delete;
  ~Attempt() {
    if (observer_) tell(WindowEvent::Kind::ended);
  }

 private:
  void tell(WindowEvent::Kind kind) noexcept {
    WindowEvent event = window_event(kind, core_, batch_, core_.clock.now());
    if (kind == WindowEvent::Kind::begun) begun_at_ = event.at;
    event.begun_at = begun_at_;
    event.put_only = put_only_;
    if (kind == WindowEvent::Kind::ended)
      event.error = batch_.call_error ? batch_.call_error : batch_.put_error;
    try {
      observer_(event);
    } catch (...) {
      batch_.observer_error = std::current_exception();
    }
  }

  const StreamCore<T>& core_;
  const WindowObserver& observer_;
  Batch<T>& batch_;
  TimePoint begun_at_{};
  bool put_only_ = false;
};

}  // namespace microbatch::inline v0_1::detail
