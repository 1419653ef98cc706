#pragma once

#include <algorithm>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <stop_token>
#include <thread>
#include <utility>
#include <vector>

#include "../concepts/executor.hpp"
#include "../consumer_options.hpp"
#include "../stream_core.hpp"
#include "flights.hpp"
#include "flush_marks.hpp"
#include "sleeper.hpp"
#include "teller.hpp"
#include "ticket.hpp"
#include "window_former.hpp"

namespace microbatch::detail {

/// The loop from the lanes to the callback. One thread at a time runs it: whoever holds the token.
/// The token is never held while a callback, a sink or an observer runs.
///
/// turn() is the whole way of the data; the rest is how it begins, waits and ends.
template <class T>
class EngineCore final : public Steppable, public std::enable_shared_from_this<EngineCore<T>> {
 public:
  template <class R>
  EngineCore(std::shared_ptr<StreamCore<T>> core, std::unique_ptr<EmitterHandle<T>> emitter,
             std::unique_ptr<Handler<T>> handler, const ConsumerOptions<T, R>& options,
             std::size_t workers)
      : core_(std::move(core)),
        former_(*core_, std::move(emitter)),
        flights_(*core_, std::move(handler), former_.emitter(),
                 {options.on_failure, options.order,
                  options.max_in_flight != 0 ? options.max_in_flight : workers}),
        teller_(*core_, options.dead_letters, options.max_kept_dead_letters, options.on_error) {}

  /// Before anything else; throws ConfigError where the emitter could never be ready.
  void start() {
    std::lock_guard lock(core_->token);
    former_.start(core_->clock.now());
  }
  /// Where jobs are run, if not by the thread that takes the turn. Before the first turn.
  void dispatch_to(AnyExecutor executor) { executor_ = std::move(executor); }

  // Steppable.

  Turn turn(bool may_spin) override { return turn_at(core_->clock.now(), may_spin); }
  void perform(void* job) override {
    if (executor_) return dispatch(job);
    run(job);
  }
  [[nodiscard]] TimePoint now() const noexcept override { return core_->clock.now(); }
  [[nodiscard]] bool runs_by_itself() const noexcept override {
    return core_->clock.runs_by_itself();
  }

  Turn turn_at(TimePoint now, bool may_spin) {
    Turn turn;
    {
      std::lock_guard token(core_->token);
      try {
        begin_turn(now);
        for (;;) {
          if (Batch<T>* batch = next_batch(now)) {
            turn.job = batch;
            turn.more = flights_.can_begin();
            break;
          }
          core_->room.notify();
          if (sleep(may_spin, turn.next)) break;
          core_->lanes.refresh();
        }
      } catch (...) {  // out of memory, mostly: nothing has moved, and it may pass
        core_->settlement.report(BackgroundError::Where::engine, std::current_exception());
        turn.next = later(now, std::chrono::milliseconds(100));
      }
      if (turn.job == nullptr) finish_if_done();
    }
    after();
    tell_finished();
    return turn;
  }

  void host_gone() noexcept override {
    {
      std::lock_guard token(core_->token);
      if (finished_) return;
      host_gone_ = true;
      core_->settlement.report(BackgroundError::Where::executor, gone_error());
      notify_waiters();
    }
    after();
  }

  // For the thread that a job was handed to: here, or through a Ticket.

  void run(void* job) {
    auto& batch = *static_cast<Batch<T>*>(job);
    {
      std::lock_guard token(core_->token);
      if (!flights_.begin(batch)) return;  // it was handed back while it waited for a thread
    }
    flights_.run(batch, stop_.get_token());
    {
      std::lock_guard token(core_->token);
      flights_.complete(batch, core_->clock.now());
    }
    after();
  }
  void refused(void* job, const std::exception_ptr& error);
  void ring() { core_->wake.ring_always(); }

  // From any thread.

  /// A partial window of whatever is in now; true when it has settled by the deadline.
  bool flush(TimePoint deadline, const std::function<void()>& drive);
  /// No more input; true when all of it has ended by the deadline. Then, or if not: finish().
  bool drain(TimePoint deadline, const std::function<void()>& drive);
  void ask_flush() {
    std::lock_guard token(core_->token);
    flush_.ask(former_.pending());
  }
  /// Like drain without a deadline and without waiting for it; `finished` is called once, by the
  /// thread that finds the end.
  void begin_drain(std::function<void()> finished = {}) {
    core_->close_input();
    {
      std::lock_guard token(core_->token);
      begin_draining();
      flights_.begin_last_chance(core_->clock.now());
      if (finished) on_finished_ = std::move(finished);
    }
    core_->wake.ring_always();
  }
  [[nodiscard]] bool has_running_callback() {
    std::lock_guard token(core_->token);
    return flights_.out() > 0;
  }
  /// Hands back what has not been delivered. Nothing is called any more.
  CloseResult<T> finish();
  [[nodiscard]] Stats stats() {
    std::lock_guard lock(core_->token);
    Stats stats = core_->snapshot();
    stats.dead_letters_lost = teller_.lost();
    return stats;
  }
  [[nodiscard]] bool finished() {
    std::lock_guard lock(core_->token);
    return finished_;
  }
  [[nodiscard]] std::vector<DeadLetter<T>> take_dead_letters() { return teller_.take_kept(); }
  [[nodiscard]] StreamCore<T>& core() noexcept { return *core_; }
  /// Once, when nothing is put any more.
  void close_sink() {
    try {
      if (!has_running_callback()) flights_.handler().close_sink();
    } catch (...) {
      {
        std::lock_guard token(core_->token);
        core_->settlement.report(BackgroundError::Where::sink, std::current_exception());
      }
      after();
    }
  }

  /// Who is to be told that a turn is due.
  void on_notify(std::function<void()> f) {
    former_.emitter().on_retune(f);
    core_->clock.subscribe(this, f);
    core_->wake.on_wake(std::move(f));
  }
  void stop_notifying() noexcept {
    core_->wake.on_wake({});
    core_->clock.unsubscribe(this);
    former_.emitter().on_retune({});
  }

 private:
  void begin_turn(TimePoint now) {
    drained_ = false;
    core_->lanes.refresh();
    core_->backlog.noticed_at = sleeper_.wake_up(now);
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
    Batch<T>& batch = flights_.spare();
    if (!form(now, batch) && !form_partial(now, batch)) return nullptr;
    flights_.launch(batch, now);
    return flights_.next_job(now);
  }

  bool form(TimePoint now, Batch<T>& batch) {
    const bool sweeping = flush_.sweeping();
    const std::uint64_t renumbered = core_->backlog.renumbered;
    const bool formed = former_.form(now, batch);
    if (sweeping || (flush_.active() && renumbered != core_->backlog.renumbered))
      flush_.extend(former_.pending());
    return formed && !(draining_ && batch.items.empty());  // an end needs no empty windows
  }

  /// The emitter waits. Is there a reason not to?
  bool form_partial(TimePoint now, Batch<T>& batch) {
    if (draining_) return former_.form_partial(now, Reason::close, batch);
    if (flush_.active()) {
      if (flush_.some_left(former_.pending()) && former_.form_partial(now, Reason::flush, batch))
        return true;
      flush_.formed(flights_.next_sequence());
    }
    if (flights_.idle() && core_->room.is_short()) {
      if (former_.form_partial(now, Reason::capacity, batch)) return true;
      if (former_.pending().total() > 0) core_->admission.tell_stuck();
    }
    return false;
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
    return sleeper_.sleep_until(left + missing, may_spin);
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
  void tell_finished() {
    std::function<void()> finished;
    {
      std::lock_guard token(core_->token);
      if (finished_ || flights_.refused()) finished.swap(on_finished_);
    }
    if (finished) finished();
  }
  static std::exception_ptr gone_error() {
    return std::make_exception_ptr(ExecutorError(
        "executor: it was stopped before its consumer; what is left is handed back by close()"));
  }
  void notify_waiters() {
    if (waiters_ > 0) changed_.notify_all();
  }
  void after() {
    core_->room.notify_if_ample();
    teller_.tell([this] { notify_waiters(); });
  }

  void dispatch(void* job);
  template <class Done>
  bool wait(TimePoint deadline, const std::function<void()>& drive, Done done);
  std::shared_ptr<StreamCore<T>> core_;
  WindowFormer<T> former_;
  Flights<T> flights_;
  Sleeper<T> sleeper_{*core_};
  Teller<T> teller_;
  AnyExecutor executor_;
  std::stop_source stop_;

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

template <class T>
void EngineCore<T>::dispatch(void* job) {
  try {
    executor_.execute(Task(Ticket<EngineCore>(this->shared_from_this(), job)));
  } catch (...) {  // the ticket was destroyed on the way and has told that nothing ran
    std::lock_guard token(core_->token);
    core_->settlement.report(BackgroundError::Where::executor, std::current_exception());
  }
}

template <class T>
void EngineCore<T>::refused(void* job, const std::exception_ptr& error) {
  {
    std::lock_guard token(core_->token);
    flights_.not_run(*static_cast<Batch<T>*>(job), core_->clock.now(), error);
    notify_waiters();
  }
  after();
  core_->wake.ring_always();
}

template <class T>
template <class Done>
bool EngineCore<T>::wait(TimePoint deadline, const std::function<void()>& drive, Done done) {
  if (drive) drive();
  std::unique_lock token(core_->token);
  if (drive && deadline == never && !done())
    throw UsageError(
        "a manual executor and clock: this call would wait for time that only its caller can let "
        "pass; "
        "advance the clock and step first, or give it a timeout");
  const WaitForStream waiting(core_.get(), core_->admission.host());
  if (waiting.would_deadlock() && deadline == never && !done())
    throw UsageError(
        "Consumer: a callback waits for another consumer that cannot go on before the callback "
        "ends");
  ++waiters_;
  bool in_time = true;
  if (deadline == never)
    changed_.wait(token, done);
  else
    in_time = changed_.wait_until(token, deadline, done);
  --waiters_;
  return in_time;
}

template <class T>
bool EngineCore<T>::flush(TimePoint deadline, const std::function<void()>& drive) {
  if (this_thread_role().inside_callback_of(core_.get()))
    throw UsageError(
        "Consumer::flush: called from inside the consumer's own callback, which it would wait for");
  std::unique_lock token(core_->token);
  if (finished_) return true;
  typename FlushMarks<T>::Wish wish(flush_, flush_.ask(former_.pending()));
  token.unlock();
  core_->wake.ring_always();
  bool settled = false;
  const bool in_time = wait(deadline, drive, [&] {
    settled = finished_ || (wish.settled(flights_.settled_below()) && teller_.all_told());
    return settled || host_gone_;
  });
  if (in_time && !settled) std::rethrow_exception(gone_error());
  return in_time;
}

template <class T>
bool EngineCore<T>::drain(TimePoint deadline, const std::function<void()>& drive) {
  if (deadline == never)
    begin_drain();
  else
    core_->close_input();  // failures go on being retried until then
  return wait(deadline, drive, [&] {
    return (finished_ || host_gone_ || flights_.refused()) && teller_.all_told();
  });
}

template <class T>
CloseResult<T> EngineCore<T>::finish() {
  core_->close_input();
  stop_.request_stop();
  // Appends that were under way get a moment to end; a slower one is counted as unclaimed.
  for (int i = 0; i < 1000 && !core_->all_quiet(); ++i) std::this_thread::yield();
  CloseResult<T> result;
  {
    std::lock_guard token(core_->token);
    begin_draining();
    finished_ = true;
    const Stats before = core_->snapshot();
    result.handed_back.reserve(static_cast<std::size_t>(before.pending + before.in_flight));
    const auto hand_back = [&](ItemSlots<T>& slots, std::size_t slot) {
      try {
        result.handed_back.push_back(std::move(*slots.at(slot)));
        return true;
      } catch (...) {
        core_->settlement.report(BackgroundError::Where::item, std::current_exception());
        return false;
      }
    };
    const auto settle_pending = [&](ItemSlots<T>& slots, std::size_t slot) {
      const bool back = hand_back(slots, slot);
      core_->settlement.settle(slots, slot, 1, back ? Outcome::handed_back : Outcome::dropped,
                               nullptr, DropCause::move_threw);
    };
    flights_.give_up(hand_back);
    former_.take_rest(settle_pending);
    while (Lane<T>* lane = core_->lanes.oldest(nullptr)) {
      auto [slots, slot] = lane->front_slot();
      settle_pending(slots, slot);
      core_->lanes.pop(*lane);
    }
    const Stats& ledger = core_->settlement.ledger;
    result.delivered = ledger.delivered;
    result.dead_lettered = ledger.dead_lettered;
    result.abandoned = ledger.abandoned;
    notify_waiters();
  }
  after();
  stop_notifying();
  core_->detach();
  return result;
}

}  // namespace microbatch::detail
