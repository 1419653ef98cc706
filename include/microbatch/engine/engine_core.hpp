#pragma once

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <stop_token>
#include <utility>
#include <vector>

#include "../concepts/executor.hpp"
#include "../consumer_options.hpp"
#include "../core/pause.hpp"
#include "../stream_core.hpp"
#include "flights.hpp"
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
        dead_letters_(options.dead_letters),
        max_kept_(options.max_kept_dead_letters),
        on_error_(options.on_error) {}

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
    auto& batch = *static_cast<Batch<T>*>(job);
    if (executor_) return dispatch(batch);
    run(batch);
  }
  [[nodiscard]] TimePoint now() const noexcept override { return core_->clock.now(); }
  [[nodiscard]] bool runs_by_itself() const noexcept override {
    return core_->clock.runs_by_itself();
  }

  Turn turn_at(TimePoint now, bool may_spin) {
    Turn turn;
    {
      std::lock_guard token(core_->token);
      begin_turn(now);
      for (;;) {
        if (Batch<T>* batch = next_batch(now)) {
          turn.job = batch;
          turn.more = flights_.has_free_worker() && flights_.free_slots() > 0;
          break;
        }
        if (sleep(may_spin, turn.next)) break;
        core_->lanes.refresh();
      }
      if (turn.job == nullptr) finish_if_done();
    }
    after();
    tell_finished();
    return turn;
  }

  // From any thread.

  /// A partial window of whatever is in now; true when it has settled by the deadline.
  bool flush(TimePoint deadline, const std::function<void()>& drive);
  /// No more input; true when all of it has ended by the deadline. Then, or if not: finish().
  bool drain(TimePoint deadline, const std::function<void()>& drive);
  void ask_flush() {
    std::lock_guard token(core_->token);
    mark_flush();
  }
  /// Like drain, without waiting; `finished` is called once, by the thread that finds the end.
  void begin_drain(std::function<void()> finished = {}) {
    core_->close_input();
    {
      std::lock_guard token(core_->token);
      draining_ = true;
      flights_.hurry(core_->clock.now());
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
    stats.dead_letters_lost = lost_letters_.load(std::memory_order_relaxed);
    return stats;
  }
  [[nodiscard]] bool finished() {
    std::lock_guard lock(core_->token);
    return finished_;
  }
  [[nodiscard]] std::vector<DeadLetter<T>> take_dead_letters() {
    std::lock_guard lock(letters_mutex_);
    return {std::make_move_iterator(kept_.begin()),
            std::make_move_iterator(std::exchange(kept_, {}).end())};
  }
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
    core_->lanes.refresh();
    if (std::exchange(armed_, false)) {
      core_->backlog.noticed_at = std::min(core_->wake.rung_at(), now);
      core_->wake.disarm();
      if (!draining_) core_->lanes.disarm();
    } else {
      core_->backlog.noticed_at = now;
    }
    expiry_ = core_->expire(now);
  }

  /// What is to run next: a retry, a put whose turn has come, or a new window.
  Batch<T>* next_batch(TimePoint now) {
    if (Batch<T>* batch = flights_.next_job(now)) return batch;
    const std::size_t slots = finished_ ? 0 : flights_.free_slots();
    if (slots == 0 || !flights_.has_free_worker()) return nullptr;
    core_->backlog.free_workers = slots;
    Batch<T>& batch = flights_.spare();
    if (!form(now, batch) && !form_partial(now, batch)) return nullptr;
    flights_.launch(batch, now);
    return flights_.next_job(now);
  }

  bool form(TimePoint now, Batch<T>& batch) {
    const bool sweeping_for_flush = flushing() && !core_->lanes.passed_marks();
    const bool formed = former_.form(now, batch);
    if (sweeping_for_flush) flush_until_ = former_.pending().end_position();
    return formed;
  }

  /// The emitter waits. Is there a reason not to?
  bool form_partial(TimePoint now, Batch<T>& batch) {
    if (draining_) return former_.form_partial(now, Reason::close, batch);
    if (flushing()) {
      const auto& pending = former_.pending();
      const bool some_left =
          pending.first_position() < flush_until_ || pending.total() > pending.size();
      if (some_left && former_.form_partial(now, Reason::flush, batch)) return true;
      flushed_ = flushes_;
      flush_below_ = flights_.next_sequence();
    }
    if (flights_.idle() && core_->room.is_short()) {
      if (former_.form_partial(now, Reason::capacity, batch)) return true;
      if (former_.pending().total() > 0) core_->tell_stuck();
    }
    return false;
  }

  /// Arms the lanes and tells when to come back; false if meanwhile something came.
  bool sleep(bool may_spin, TimePoint& next) {
    next = std::min(flights_.next_due(), expiry_);
    if (draining_ || finished_) return true;  // the lanes ring by themselves when they end
    const bool can_form = flights_.has_free_worker() && flights_.free_slots() > 0;
    if (!can_form) return true;
    const Readiness& verdict = former_.verdict();
    next = std::min(next, verdict.at);
    const std::uint64_t pending = former_.pending().total();
    std::uint64_t wanted = nothing;
    if (verdict.at_items != npos)
      wanted = verdict.at_items > pending ? verdict.at_items - pending : 1;
    if (core_->room.has_waiters()) wanted = 1;  // any item may be the one to flush for them
    if (wanted == nothing) return true;
    if (may_spin && spin_until(wanted)) return false;
    return arm_for(wanted);
  }

  bool arm_for(std::uint64_t wanted) {
    auto& lanes = core_->lanes;
    core_->wake.arm();
    armed_ = true;
    if (lanes.arm(wanted)) {
      lanes.barrier();
      lanes.refresh();
      if (lanes.waiting() < wanted) {
        lanes.mark_round();
        return true;
      }
    }
    armed_ = false;
    core_->wake.disarm();
    lanes.disarm();
    return false;
  }

  /// A short wait for what is about to come, longer while that pays off. Gives up quickly.
  bool spin_until(std::uint64_t wanted) noexcept;

  [[nodiscard]] bool flushing() const noexcept { return flushed_ != flushes_; }

  /// After a turn that found nothing to run.
  void finish_if_done() {
    if (draining_ && flights_.idle() && core_->lanes.drained()) finished_ = true;
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
  void notify_waiters() {
    if (waiters_ > 0) changed_.notify_all();
  }
  /// Everything that has been settled has been told, too.
  [[nodiscard]] bool all_told() const noexcept {
    return !telling_ && !core_->settlement.has_aftermath();
  }

  void dispatch(Batch<T>& batch);
  void run(Batch<T>& batch) {
    flights_.run(batch, stop_.get_token());
    {
      std::lock_guard token(core_->token);
      flights_.complete(batch, core_->clock.now(), draining_);
    }
    after();
  }
  void refused(Batch<T>& batch, const std::exception_ptr& error);
  template <class Done>
  bool wait(TimePoint deadline, const std::function<void()>& drive, Done done);
  std::uint64_t mark_flush() {
    core_->lanes.mark();
    flush_until_ = std::max(flush_until_, former_.pending().end_position());
    return ++flushes_;
  }
  void after();
  void tell(Aftermath<T>& told);
  void keep(DeadLetter<T>&& letter);

  std::shared_ptr<StreamCore<T>> core_;
  WindowFormer<T> former_;
  Flights<T> flights_;
  AnyExecutor executor_;
  std::stop_source stop_;

  // Under the token.
  std::condition_variable changed_;
  int waiters_ = 0;
  std::uint64_t flushes_ = 0;      // asked for
  std::uint64_t flushed_ = 0;      // formed
  std::uint64_t flush_below_ = 0;  // windows numbered below it belong to them
  std::uint64_t flush_until_ = 0;  // positions below it, too
  TimePoint expiry_ = never;
  bool armed_ = false;
  bool draining_ = false;
  bool finished_ = false;
  std::function<void()> on_finished_;
  std::size_t spins_ = 256;
  static constexpr std::uint64_t nothing = ~std::uint64_t{0};

  // Telling: one thread at a time, in order.
  bool telling_ = false;  // under the token
  Aftermath<T> told_;     // the teller's
  DeadLetterHandler<T> dead_letters_;
  const std::size_t max_kept_;
  std::function<void(const BackgroundError&)> on_error_;
  std::mutex letters_mutex_;
  std::deque<DeadLetter<T>> kept_;
  std::atomic<std::uint64_t> lost_letters_{0};
};

template <class T>
bool EngineCore<T>::spin_until(std::uint64_t wanted) noexcept {
  constexpr std::size_t least = 32;
  constexpr std::size_t most = 2048;
  for (std::size_t i = 0; i < spins_; i += 1 + core_->lanes.count() / 8) {
    if (core_->lanes.waiting() >= wanted) {
      spins_ = std::min(most, spins_ * 2);
      return true;
    }
    pause();
  }
  spins_ = std::max(least, spins_ / 2);
  return false;
}

template <class T>
void EngineCore<T>::dispatch(Batch<T>& batch) {
  /// Goes with the task; tells when the task is destroyed unrun.
  class Ticket {
   public:
    Ticket(std::shared_ptr<EngineCore> engine, Batch<T>& batch) noexcept
        : engine_(std::move(engine)), batch_(&batch) {}
    Ticket(Ticket&&) noexcept = default;
    Ticket& operator=(Ticket&&) = delete;
    ~Ticket() {
      if (engine_)
        engine_->refused(*batch_, std::make_exception_ptr(ExecutorError(
                                      "executor: it destroyed a task without running it")));
    }
    void operator()() {
      const auto engine = std::move(engine_);
      engine->run(*batch_);
      engine->core_->wake.ring_always();
    }

   private:
    std::shared_ptr<EngineCore> engine_;
    Batch<T>* batch_;
  };
  try {
    executor_.execute(Task(Ticket(this->shared_from_this(), batch)));
  } catch (...) {  // the task was destroyed on the way and has told that it did not run
    std::lock_guard token(core_->token);
    core_->settlement.report(BackgroundError::Where::executor, std::current_exception());
  }
}

template <class T>
void EngineCore<T>::refused(Batch<T>& batch, const std::exception_ptr& error) {
  {
    std::lock_guard token(core_->token);
    flights_.not_run(batch, core_->clock.now(), draining_, error);
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
  const std::uint64_t mine = mark_flush();
  token.unlock();
  core_->wake.ring_always();
  std::uint64_t below = nothing;
  return wait(deadline, drive, [&] {
    if (finished_) return true;
    if (flushed_ < mine) return false;
    if (below == nothing) below = flush_below_;
    return flights_.settled_below() >= below && all_told();
  });
}

template <class T>
bool EngineCore<T>::drain(TimePoint deadline, const std::function<void()>& drive) {
  begin_drain();
  return wait(deadline, drive, [&] { return (finished_ || flights_.refused()) && all_told(); });
}

template <class T>
CloseResult<T> EngineCore<T>::finish() {
  core_->close_input();
  stop_.request_stop();
  CloseResult<T> result;
  {
    std::lock_guard token(core_->token);
    draining_ = finished_ = true;
    const auto hand_back = [&](ItemSlots<T>& slots, std::size_t slot) {
      try {
        result.handed_back.push_back(std::move(*slots.at(slot)));
      } catch (...) {
        core_->settlement.report(BackgroundError::Where::item, std::current_exception());
      }
    };
    const auto hand_back_pending = [&](ItemSlots<T>& slots, std::size_t slot) {
      hand_back(slots, slot);
      core_->settlement.settle(slots, slot, 1, Outcome::handed_back);
    };
    flights_.give_up(hand_back);
    former_.take_rest(hand_back_pending);
    core_->lanes.refresh();
    while (Lane<T>* lane = core_->lanes.oldest(nullptr)) {
      auto [slots, slot] = lane->front_slot();
      hand_back_pending(slots, slot);
      core_->lanes.pop(*lane);
    }
    const Stats& ledger = core_->settlement.ledger;
    result.delivered = ledger.delivered;
    result.dead_lettered = ledger.dead_lettered;
    result.abandoned = ledger.abandoned;
    notify_waiters();
  }
  after();
  core_->detach();
  return result;
}

template <class T>
void EngineCore<T>::after() {
  core_->room.notify();
  std::unique_lock token(core_->token);
  if (telling_ || !core_->settlement.has_aftermath()) return;  // whoever is telling tells this, too
  telling_ = true;
  while (core_->settlement.has_aftermath()) {
    core_->settlement.collect(told_);
    token.unlock();
    tell(told_);
    token.lock();
  }
  telling_ = false;
  notify_waiters();
}

template <class T>
void EngineCore<T>::tell(Aftermath<T>& told) {
  const InsideCallback inside(core_.get());  // an observer that waited for us would wait for itself
  const auto report = [&](BackgroundError::Where where) {
    const auto error = std::current_exception();
    told.errors.push_back({where, error, text_of(error)});
  };
  for (auto& letter : told.letters) {
    try {
      if (dead_letters_) {
        dead_letters_(letter);
        continue;
      }
    } catch (...) {
      report(BackgroundError::Where::dead_letters);
    }
    keep(std::move(letter));
  }
  for (auto& [state, error] : told.acks) {
    try {
      state->complete(error);
    } catch (...) {
      report(BackgroundError::Where::acknowledgement);
    }
    state->release();
  }
  for (const Origin& origin : told.commits) {
    try {
      core_->settlement.commit(origin);
    } catch (...) {
      report(BackgroundError::Where::source);
    }
  }
  if (!on_error_) return;
  for (const auto& error : told.errors) {
    try {
      on_error_(error);
    } catch (...) {  // there is nobody left to tell
    }
  }
}

template <class T>
void EngineCore<T>::keep(DeadLetter<T>&& letter) {
  std::lock_guard lock(letters_mutex_);
  if (max_kept_ == 0 || kept_.size() == max_kept_) {
    lost_letters_.fetch_add(1, std::memory_order_relaxed);
    if (max_kept_ == 0) return;
    kept_.pop_front();
  }
  kept_.push_back(std::move(letter));
}

}  // namespace microbatch::detail
