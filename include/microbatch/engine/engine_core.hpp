#pragma once

#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <stop_token>
#include <thread>
#include <utility>
#include <vector>

#include "../core/probe.hpp"
#include "engine_loop.hpp"
#include "ticket.hpp"

namespace microbatch::inline v0_1::detail {

/// An engine as its host and its consumer see it: the loop, the jobs that it hands over, and its
/// ends (flush, drain, finish).
///
/// Threads: any, all functions.
template <class T>
class EngineCore final : public Steppable,
                         public Sampled,
                         public std::enable_shared_from_this<EngineCore<T>>,
                         private EngineLoop<T> {
  using Loop = EngineLoop<T>;
  using Loop::after;
  using Loop::begin_draining;
  using Loop::changed_;
  using Loop::core_;
  using Loop::draining_;
  using Loop::finished_;
  using Loop::flights_;
  using Loop::flush_;
  using Loop::former_;
  using Loop::host_gone_;
  using Loop::notify_waiters;
  using Loop::on_finished_;
  using Loop::sleeper_;
  using Loop::teller_;
  using Loop::waiters_;

 public:
  using Turn = Steppable::Turn;
  using Loop::turn_at;

  template <class R>
  EngineCore(std::shared_ptr<StreamCore<T>> core, std::unique_ptr<EmitterHandle<T>> emitter,
             std::unique_ptr<Handler<T>> handler, const ConsumerOptions<T, R>& options,
             std::size_t workers)
      : Loop(std::move(core), std::move(emitter), std::move(handler), options, workers) {}
  ~EngineCore() override {
    if (probe_) probe_->cut();
    former_.emitter().on_retune({});  // copies of the emitter may live on
  }

  /// Before anything else; throws ConfigError where the emitter could never be ready.
  void start() {
    std::lock_guard lock(core_->token);
    former_.start(core_->clock.now());
  }
  /// Where jobs are run, if not by the thread that takes the turn. Before the first turn.
  void dispatch_to(AnyExecutor executor) {
    executor_ = std::make_unique<const AnyExecutor>(std::move(executor));
  }

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

  void host_gone() noexcept override {
    std::unique_lock token(core_->token);
    if (finished_) return;
    host_gone_ = true;
    core_->settlement.report(BackgroundError::Where::executor, gone_error());
    notify_waiters();
    after(std::move(token));
  }

  // For the thread that a job was handed to: here, or through a Ticket.

  void run(void* job) {
    auto& batch = *static_cast<Batch<T>*>(job);
    {
      std::lock_guard token(core_->token);
      if (!flights_.begin(batch)) return;  // it was handed back while it waited for a thread
    }
    flights_.run(batch, stop_.get_token());
    std::unique_lock token(core_->token);
    flights_.complete(batch, core_->clock.now());
    after(std::move(token));
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
    flights_.count(stats, core_->clock.now());
    return stats;
  }
  [[nodiscard]] Histograms histograms() {
    std::unique_lock token(core_->token);
    const Meters::Sources sources = flights_.meters().sources();
    token.unlock();
    return sources.merged();
  }
  [[nodiscard]] std::shared_ptr<Probe> probe() {
    std::lock_guard lock(core_->token);
    if (!probe_) probe_ = std::make_shared<Probe>(*this);
    return probe_;
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
      std::unique_lock token(core_->token);
      core_->settlement.report(BackgroundError::Where::sink, std::current_exception());
      after(std::move(token));
    }
  }

  /// Who is to be told that a turn is due.
  void on_notify(std::function<void()> f) {
    former_.emitter().on_retune([this] { core_->wake.ring_always(); });
    core_->clock.subscribe(this, f);
    core_->wake.on_wake(std::move(f));
  }
  void stop_notifying() noexcept {
    core_->wake.on_wake({});
    core_->clock.unsubscribe(this);
    former_.emitter().on_retune({});
  }

 private:
  static std::exception_ptr gone_error() {
    return std::make_exception_ptr(ExecutorError(
        "executor: it was stopped before its consumer; what is left is handed back by close()"));
  }
  void dispatch(void* job);
  template <class Done>
  bool wait(TimePoint deadline, const std::function<void()>& drive, Done done);
  [[nodiscard]] Sample sample() override {
    return {.stream = core_->options().name,
            .capacity = core_->options().capacity,
            .stats = stats(),
            .measured = flights_.meters().on(),
            .histograms = histograms()};
  }

  std::unique_ptr<const AnyExecutor> executor_;  // null: jobs run where the turn was taken
  std::stop_source stop_;
  std::shared_ptr<Probe> probe_;  // made when somebody asks for it
};

template <class T>
void EngineCore<T>::dispatch(void* job) {
  try {
    executor_->execute(Task(Ticket<EngineCore>(this->shared_from_this(), job)));
  } catch (...) {  // the ticket was destroyed on the way and has told that nothing ran
    std::lock_guard token(core_->token);
    core_->settlement.report(BackgroundError::Where::executor, std::current_exception());
  }
}

template <class T>
void EngineCore<T>::refused(void* job, const std::exception_ptr& error) {
  std::unique_lock token(core_->token);
  flights_.not_run(*static_cast<Batch<T>*>(job), core_->clock.now(), error);
  notify_waiters();
  after(std::move(token));
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
  std::unique_lock token(core_->token);
  begin_draining();
  finished_ = true;
  (void)sleeper_.wake_up(core_->clock.now(), false);  // from here on rings are for detach()
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
    auto [slots, slot] = lane->reader().front();
    settle_pending(slots, slot);
    core_->lanes.pop(*lane);
  }
  const Ledger& ledger = core_->settlement.ledger;
  result.delivered = ledger.delivered;
  result.dead_lettered = ledger.dead_lettered;
  result.abandoned = ledger.abandoned;
  notify_waiters();
  after(std::move(token));
  stop_notifying();
  core_->detach();
  return result;
}

}  // namespace microbatch::inline v0_1::detail
