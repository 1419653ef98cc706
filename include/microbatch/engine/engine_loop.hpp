#pragma once

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>

#include "../concepts/executor.hpp"
#include "../consumer_options.hpp"
#include "../stream_core.hpp"
#include "flights.hpp"
#include "flush_marks.hpp"
#include "sleeper.hpp"
#include "teller.hpp"
#include "window_former.hpp"

namespace microbatch::inline v0_1::detail {

/// The loop from the lanes to the callback. One thread at a time runs it: whoever holds the token.
/// The token is never held while a callback, a sink or an observer runs.
///
/// turn_at() is the whole way of the data; what stands below it is how it waits and ends.
template <class T>
class EngineLoop {
 protected:
  using Turn = Steppable::Turn;

  template <class R>
  EngineLoop(std::shared_ptr<StreamCore<T>> core, std::unique_ptr<EmitterHandle<T>> emitter,
             std::unique_ptr<Handler<T>> handler, const ConsumerOptions<T, R>& options,
             std::size_t workers)
      : core_(std::move(core)),
        former_(*core_, std::move(emitter)),
        flights_(*core_, std::move(handler), former_.emitter(), options.on_failure,
                 {options.order, options.max_in_flight != 0 ? options.max_in_flight : workers,
                  options.histograms, options.on_window}),
        teller_(*core_, options.dead_letters, options.max_kept_dead_letters, options.on_error,
                flights_.observer()) {}

  ~EngineLoop() = default;

  Turn turn_at(TimePoint now, bool may_spin) {
    Turn turn;
    std::unique_lock token(core_->token);
    try {
      begin_turn(now, may_spin);
      for (;;) {
        if (Batch<T>* batch = next_batch(now)) {
          turn.job = batch;
          turn.more = flights_.can_begin();
          break;
        }
        core_->room.notify();
        if (sleep(may_spin, turn.next)) break;
        core_->lanes.refresh();
        if (may_spin) now = std::max(now, core_->clock.now());  // it may have waited
      }
    } catch (...) {  // out of memory, mostly: nothing has moved, and it may pass
      core_->settlement.report(BackgroundError::Where::engine, std::current_exception());
      turn.next = later(now, std::chrono::milliseconds(100));
    }
    if (turn.job == nullptr) finish_if_done();
    after(std::move(token));
    return turn;
  }

  void begin_turn(TimePoint now, bool alone) {
    drained_ = false;
    core_->lanes.refresh();
    core_->backlog.noticed_at = sleeper_.wake_up(now, alone);
    expiry_ = core_->expire(now);
    if (core_->closed()) begin_draining();
  }
  /// The lanes are closed (again) under the token: nobody arms them from here on, what is still on
  /// its way rings when it ends, and every lane that was ever open is known.
  void begin_draining() {
    if (std::exchange(draining_, true)) return;
    core_->lanes.close();
    core_->lanes.refresh();
  }

  /// What is to run next: a retry, a put whose turn has come, or a new window.
  Batch<T>* next_batch(TimePoint now) {
    if (Batch<T>* batch = flights_.next_job(now)) return batch;
    if (finished_ || !flights_.can_begin()) return nullptr;
    core_->backlog.free_workers = flights_.free_slots();
    Batch<T>* batch = form(now);
    if (batch == nullptr) batch = form_partial(now);
    if (batch == nullptr) return nullptr;
    flights_.launch(*batch, now);
    sleeper_.next_window();
    return flights_.next_job(now);
  }

  Batch<T>* form(TimePoint now) {
    const bool sweeping = flush_.sweeping();
    const std::uint64_t renumbered = core_->backlog.renumbered;
    Batch<T>* formed = former_.form(now, flights_);
    // An end needs no empty windows, but those which tell how far event time has come.
    while (formed != nullptr && draining_ && formed->items.empty() && !formed->info.event_bounds)
      formed = former_.form(now, flights_);
    if (sweeping || (flush_.active() && renumbered != core_->backlog.renumbered))
      flush_.extend(former_.pending());
    return formed;
  }

  /// The emitter waits. Is there a reason not to?
  Batch<T>* form_partial(TimePoint now) {
    if (draining_) return former_.form_partial(now, Reason::close, flights_);
    if (flush_.active()) {
      if (flush_.some_left(former_.pending()))
        if (Batch<T>* batch = former_.form_partial(now, Reason::flush, flights_)) return batch;
      // (What an emitter holds back while a window is in flight, it may let go at its end.)
      if (flights_.idle() || !flush_.some_left(former_.pending()))
        flush_.formed(flights_.next_sequence());
    }
    if (flights_.idle() && core_->room.is_short()) {
      if (Batch<T>* batch = former_.form_partial(now, Reason::capacity, flights_)) return batch;
      if (former_.pending().total() > 0) core_->admission.tell_stuck();
    }
    return nullptr;
  }

  /// Tells when to come back, if nobody rings earlier; false if meanwhile something came.
  bool sleep(bool may_spin, TimePoint& next) {
    next = std::min(flights_.next_due(), expiry_);
    if (finished_ || !flights_.can_begin()) return true;  // the end of a job is a reason to wake up
    const Readiness& verdict = former_.verdict();
    const std::uint64_t left = core_->lanes.left_behind();  // they come to `before`, not by a ring
    if (left > 0) next = std::min(next, verdict.before);
    // One look decides: a refused append takes its claim back, and a lane flickers for a moment.
    if (draining_)
      return (drained_ = is_drained()) ||
             sleeper_.sleep_until_quiet(is_full() ? core_->lanes.waiting() : left);
    next = std::min(next, verdict.at);
    if (former_.erred()) return sleeper_.sleep_until(core_->lanes.waiting() + 1, may_spin);
    if (is_full()) return true;
    if (core_->room.has_waiters())
      return sleeper_.sleep_until(left + 1, may_spin);  // flush for them
    if (verdict.at_items == npos) return true;
    const std::uint64_t pending = former_.pending().total();
    const std::uint64_t missing = verdict.at_items > pending ? verdict.at_items - pending : 1;
    return sleeper_.sleep_until_full(left + missing, may_spin, next);
  }

  /// What stands behind a limit cannot change the verdict: then only time can, or a flush.
  [[nodiscard]] bool is_full() const noexcept {
    return former_.pending().size() >= former_.verdict().limit;
  }
  /// Nothing more can come; or nothing more can leave, because the emitter does not want it.
  [[nodiscard]] bool is_drained() const noexcept {
    return is_full() ? core_->lanes.quiet() : core_->lanes.drained();
  }

  /// After a turn that found nothing to run.
  void finish_if_done() {
    if (drained_ && flights_.idle()) finished_ = true;
    notify_waiters();
  }
  void notify_waiters() {
    if (waiters_ > 0) changed_.notify_all();
  }
  /// The end of all that is done under the token: those who wait hear what has come of it. The
  /// token is let go.
  void after(std::unique_lock<std::mutex> token) {
    core_->room.notify_if_ample();
    if (teller_.tell(token)) notify_waiters();
    std::function<void()> finished;
    if (ended()) finished.swap(on_finished_);
    const std::size_t sleepers = core_->sleepers_due();
    token.unlock();
    if (sleepers > 0) core_->sleepers.wake(sleepers);
    if (finished) finished();
  }
  /// Nothing runs, and nothing will run any more by itself.
  [[nodiscard]] bool ended() const noexcept {
    return finished_ || flights_.refused() || (host_gone_ && flights_.out() == 0);
  }

  std::shared_ptr<StreamCore<T>> core_;
  WindowFormer<T> former_;
  Flights<T> flights_;
  Sleeper<T> sleeper_{*core_};
  Teller<T> teller_;

  // Under the token.
  std::condition_variable changed_;
  int waiters_ = 0;
  FlushMarks<T> flush_{core_->lanes};
  TimePoint expiry_ = never;
  bool draining_ = false;
  bool drained_ = false;  // as this turn has seen it
  bool finished_ = false;
  bool host_gone_ = false;
  std::function<void()> on_finished_;
};

}  // namespace microbatch::inline v0_1::detail
