#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <stop_token>
#include <utility>
#include <vector>

#include "../consumer_options.hpp"
#include "../core/thread_role.hpp"
#include "../delivery/batch.hpp"
#include "../delivery/ending.hpp"
#include "../stream_core.hpp"
#include "emitter_handle.hpp"
#include "judge.hpp"
#include "meters.hpp"
#include "runner.hpp"

namespace microbatch::inline v0_1::detail {

/// The windows that have left the emitter and have not ended: which of them runs next, what their
/// attempts led to, and how each item ends.
///
/// Threads: whoever holds the token, except run(), which is for the thread that a batch was handed
/// to.
template <class T>
class Flights {
 public:
  struct Rules {
    Order order;
    std::size_t max_in_flight;
    bool histograms = false;
    WindowObserver on_window{};
  };

  Flights(StreamCore<T>& core, std::unique_ptr<Handler<T>> handler, EmitterHandle<T>& emitter,
          FailurePolicy policy, Rules rules)
      : core_(core),
        handler_(std::move(handler)),
        emitter_(emitter),
        rules_(std::move(rules)),
        judge_(core, std::move(policy)),
        meters_(rules_.histograms) {}

  [[nodiscard]] Handler<T>& handler() noexcept { return *handler_; }
  [[nodiscard]] const WindowObserver& observer() const noexcept { return rules_.on_window; }
  [[nodiscard]] bool idle() const noexcept { return active_.empty(); }
  /// Windows numbered below it have ended.
  [[nodiscard]] std::uint64_t settled_below() const noexcept {
    return active_.empty() ? next_sequence_ : active_.front()->info.sequence;
  }
  [[nodiscard]] std::uint64_t next_sequence() const noexcept { return next_sequence_; }
  [[nodiscard]] const Meters& meters() const noexcept { return meters_; }
  /// What Stats tells about the windows in flight.
  void count(Stats& stats, TimePoint now) const noexcept {
    stats.windows_in_flight = active_.size();
    if (!active_.empty()) stats.oldest_window = now - active_.front()->info.emitted_at;
  }

  // Windows begin.

  /// How many more windows could be handed over right now.
  [[nodiscard]] std::size_t free_slots() const noexcept {
    std::size_t held = 0;
    bool stalled = false;
    bool ungranted = false;
    for (const Batch<T>* batch : active_) {
      if (is_stalled(*batch)) {
        stalled = true;
        ungranted = ungranted || !batch->probe_granted;
      } else if (batch->next != Batch<T>::Next::turn) {
        ++held;
      }
    }
    if (held >= slots() || (stalled && !ungranted)) return 0;
    return stalled ? 1 : slots() - held;
  }

  /// A free batch to form a window in; give it to launch() or leave it.
  [[nodiscard]] Batch<T>& spare() {
    if (free_.empty()) {
      auto batch = std::make_unique<Batch<T>>();
      batch->result = handler_->make_result();
      free_.reserve(batches_.size() + 1);
      active_.reserve(batches_.size() + 1);
      batches_.push_back(std::move(batch));
      free_.push_back(batches_.back().get());
    }
    free_.back()->plan.reserve();  // launch() must not run out of memory: the items have moved
    return *free_.back();
  }

  void launch(Batch<T>& batch, TimePoint now) noexcept {
    free_.pop_back();
    for (Batch<T>* other : active_)
      if (is_stalled(*other) && !other->probe_granted) {
        other->probe_granted = true;
        break;
      }
    const std::size_t n = batch.owned();
    batch.info.sequence = next_sequence_++;
    batch.info.emitted_at = now;
    batch.info.ended_at = never;
    batch.plan.start(static_cast<std::uint32_t>(batch.items.size()));
    batch.unsettled = n;
    batch.due = now;
    batch.next = Batch<T>::Next::call;
    batch.put_failures = 0;
    batch.undone = batch.given_up = batch.probe_granted = false;
    active_.push_back(&batch);
    auto& ledger = core_.settlement.ledger;
    ledger.in_flight += n;
    ++ledger.windows;
    ++ledger.windows_by[static_cast<std::size_t>(batch.info.reason)];
    meters_.emitted(n);
  }

  // Windows run.

  /// What is to run now, marked as out; null if nothing is. Then run() it, then complete() it.
  [[nodiscard]] Batch<T>* next_job(TimePoint now) {
    for (std::size_t i = 0; i < active_.size(); ++i) {
      Batch<T>& batch = *active_[i];
      if (batch.out || (batch.next != Batch<T>::Next::turn && batch.due > now)) continue;
      if (batch.next == Batch<T>::Next::turn) {
        if (i != 0) continue;
        if (!handler_->has_sink()) {
          finish_if(judge_.delivered(batch, now), batch, now);
          i = npos;  // the list has changed: from the start
          continue;
        }
        batch.next = Batch<T>::Next::put;
      }
      if (out_ >= slots()) return nullptr;
      if (batch.next == Batch<T>::Next::call) {
        batch.part = batch.plan.take();
        batch.part_number = batch.plan.part_number();
        if (batch.part.attempts > 1) ++core_.settlement.ledger.retries;
      }
      batch.out = true;
      batch.begun = false;
      ++out_;
      return &batch;
    }
    return nullptr;
  }
  [[nodiscard]] std::size_t out() const noexcept { return out_; }
  /// Whether one more window could be handed over right now.
  [[nodiscard]] bool can_begin() const noexcept { return out_ < slots() && free_slots() > 0; }

  /// When the next retry is due, or never.
  [[nodiscard]] TimePoint next_due() const noexcept {
    TimePoint due = never;
    for (const Batch<T>* batch : active_)
      if (!batch->out && batch->next != Batch<T>::Next::turn) due = std::min(due, batch->due);
    return due;
  }

  /// The thread that will run() it has come to it; false if it was handed back meanwhile.
  [[nodiscard]] bool begin(Batch<T>& batch) noexcept {
    batch.begun = true;
    if (!batch.given_up) {
      batch.meter = meters_.lend();
      return true;
    }
    batch.out = false;
    --out_;
    release(batch);
    return false;
  }

  /// Without the token.
  void run(Batch<T>& batch, const std::stop_token& stop) noexcept {
    Runner<T>(core_, *handler_, judge_, rules_.on_window, rules_.order).run(batch, stop);
  }

  void complete(Batch<T>& batch, TimePoint now) {
    refused_ = false;
    refusals_ = 0;
    batch.out = false;
    batch.info.ended_at = now;
    --out_;
    meters_.give_back(std::exchange(batch.meter, nullptr));
    if (batch.observer_error)
      core_.settlement.report(BackgroundError::Where::observer,
                              std::exchange(batch.observer_error, nullptr));
    if (batch.given_up) return release(batch);
    if (batch.call_error)
      return finish_if(judge_.call_failed(batch, std::exchange(batch.call_error, nullptr), now),
                       batch, now);
    if (batch.next == Batch<T>::Next::call) judge_.count_success(now);
    if (batch.put_error)
      return finish_if(judge_.put_failed(batch, std::exchange(batch.put_error, nullptr), now),
                       batch, now);
    if (rules_.order == Order::committed_in_order && batch.next == Batch<T>::Next::call) {
      batch.next = Batch<T>::Next::turn;  // next_job goes on with it when it is first
      return;
    }
    finish_if(judge_.delivered(batch, now), batch, now);
  }

  /// The executor would not take it, or destroyed it unrun: nothing was called.
  void not_run(Batch<T>& batch, TimePoint now, const std::exception_ptr& error) {
    core_.settlement.report(BackgroundError::Where::executor, error);
    batch.out = false;
    --out_;
    refused_ = true;
    if (batch.given_up) return release(batch);
    if (batch.next == Batch<T>::Next::call) batch.plan.put_back();
    batch.due = later(now, judge_.delay(++refusals_));
  }
  /// The executor has refused a job; a drain need not wait for it.
  [[nodiscard]] bool refused() const noexcept { return refused_; }

  /// A drain without a deadline has begun: nobody waits for evidence from other windows any more.
  void begin_last_chance(TimePoint now) noexcept {
    judge_.begin_last_chance();
    for (Batch<T>* batch : active_)
      if (!batch->out && batch->plan.stalled()) batch->due = now;
  }

  // The end without delivery.

  /// The end of all windows. Items inside a callback that runs are abandoned; the others go to
  /// `each(slots, slot)`, oldest window first, and are handed back (dropped, if it returns false).
  template <class F>
  void give_up(F&& each) {
    for (Batch<T>* batch : active_) {
      batch->undone = true;
      if (batch->out) {
        batch->given_up = true;
      }
      if (batch->out && batch->begun) {
        const auto begin = batch->part.begin;
        ending_.end(*batch, begin, batch->part.end, Outcome::abandoned);
      }
      for (std::size_t i = 0; i < batch->owned() && batch->unsettled > 0; ++i) {
        if (batch->has_ended(i)) continue;
        if (each(batch->items.slots(), batch->items.slot(i)))
          ending_.end(*batch, i, i + 1, Outcome::handed_back);
        else
          ending_.end(*batch, i, i + 1, Outcome::dropped, nullptr, DropCause::move_threw);
      }
      tell_emitter(*batch);
      tell_observer(*batch, core_.clock.now());
      if (!batch->out)
        release(*batch);
      else if (!batch->begun)  // begin() will not touch it
        batch->items = ItemBuffer<T>();
    }
    active_.clear();
    over_ = true;
    for (Batch<T>* batch : free_) batch->items = ItemBuffer<T>();
  }

 private:
  [[nodiscard]] std::size_t slots() const noexcept {
    return rules_.order == Order::sequential ? 1 : rules_.max_in_flight;
  }
  [[nodiscard]] static bool is_stalled(const Batch<T>& batch) noexcept {
    return !batch.out && batch.plan.stalled();
  }

  void finish_if(bool ended, Batch<T>& batch, TimePoint now) {
    if (!ended) return;
    meters_.settled(now - batch.info.emitted_at);
    tell_observer(batch, now);
    tell_emitter(batch);
    active_.erase(std::find(active_.begin(), active_.end(), &batch));
    release(batch);
  }
  void release(Batch<T>& batch) noexcept {
    batch.items.clear();
    if (over_) batch.items = ItemBuffer<T>();
    batch.copies = 0;
    batch.ended.clear();
    free_.push_back(&batch);
  }

  void tell_observer(const Batch<T>& batch, TimePoint now) noexcept {
    if (!rules_.on_window) return;
    WindowEvent event = window_event(WindowEvent::Kind::settled, core_, batch, now);
    event.undone = batch.undone;
    core_.settlement.settled(event);
  }

  void tell_emitter(Batch<T>& batch) {
    // The items of a window that is still with its callback are nobody else's to look at.
    const std::size_t n = batch.out ? 0 : batch.items.size();
    Window<T> window(std::span<T>(batch.items.data(), n), batch.info, 0, batch.part.attempts,
                     batch.rejections, {}, batch.slots(), batch.items.slot(0));
    try {
      if (batch.undone)
        emitter_.on_undo(window);
      else
        emitter_.on_commit(window);
    } catch (...) {
      core_.settlement.report(BackgroundError::Where::emitter, std::current_exception());
    }
  }

  StreamCore<T>& core_;
  std::unique_ptr<Handler<T>> handler_;
  EmitterHandle<T>& emitter_;
  const Rules rules_;
  Judge<T> judge_;
  Ending<T> ending_{core_.settlement};
  Meters meters_;

  std::vector<std::unique_ptr<Batch<T>>> batches_;
  std::vector<Batch<T>*> free_;
  std::vector<Batch<T>*> active_;  // in the order of their sequence
  std::uint64_t next_sequence_ = 0;
  std::size_t out_ = 0;
  std::uint32_t refusals_ = 0;
  bool refused_ = false;
  bool over_ = false;  // no window will come: their memory is not kept for the next one
};

}  // namespace microbatch::inline v0_1::detail
