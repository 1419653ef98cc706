#pragma once

#include <algorithm>
#include <cstdint>
#include <exception>
#include <utility>

#include "../core/split_mix.hpp"
#include "../delivery/batch.hpp"
#include "../delivery/ending.hpp"
#include "../delivery/failure_policy.hpp"
#include "../stream_core.hpp"

namespace microbatch::inline v0_1::detail {

/// What an attempt has led to: which items end by it, and what the window does next. The policy's
/// arithmetic is RetryPlan; here it meets items, time and the other windows' successes.
///
/// Each function answers whether the window has ended. Threads: whoever holds the token, except
/// classify().
template <class T>
class Judge {
 public:
  Judge(StreamCore<T>& core, FailurePolicy policy)
      : core_(core), policy_(std::move(policy)), random_(core.id) {}

  [[nodiscard]] const FailurePolicy& policy() const noexcept { return policy_; }

  /// What the failures of an attempt say about the items. It asks the user, so it is done without
  /// the token; a classify() that throws says nothing.
  void classify(Batch<T>& batch) const noexcept {
    if (batch.call_error) batch.failure = classified(batch.call_error);
    for (Rejection& rejection : batch.rejections) rejection.failure = classified(rejection.error);
  }

  /// The same for the results that a put has named: some are put again, the items of the others are
  /// rejected.
  void sort_out(Batch<T>& batch) const {
    auto error = batch.puts.sort_out(
        [&](const std::exception_ptr& e) { return classified(e) == Failure::transient; },
        batch.rejections);
    if (!batch.put_error) batch.put_error = std::move(error);
  }

  /// A call that succeeded is evidence for others.
  void count_success(TimePoint now) noexcept {
    ++successes_;
    last_success_ = now;
  }
  /// No more input, no deadline: see RetryPlan::Evidence.
  void begin_last_chance() noexcept { last_chance_ = true; }
  /// The delay after so many failures in a row.
  [[nodiscard]] Duration delay(std::uint32_t failures) noexcept {
    return policy_.delay(failures, random_());
  }

  bool delivered(Batch<T>& batch, TimePoint now) {
    const RetryPlan::Part part = batch.part;
    auto& rejected = batch.rejections;
    std::sort(rejected.begin(), rejected.end(),
              [](const Rejection& a, const Rejection& b) { return a.index < b.index; });
    bool held = false;
    std::size_t from = part.begin;
    for (const Rejection& rejection : rejected) {
      const std::size_t i = part.begin + rejection.index;
      if (i < from) continue;  // rejected twice
      ending_.end(batch, from, i, Outcome::delivered);
      from = i + 1;
      if (rejection.failure == Failure::transient &&
          part.attempts < policy_.max_transient_attempts) {
        batch.plan.hold_item(static_cast<std::uint32_t>(i), rejection.error);
        held = true;
      } else {
        ending_.bury(batch, i, part.attempts, rejection.error);
      }
    }
    rejected.clear();
    ending_.end(batch, from, part.end, Outcome::delivered);
    batch.put_failures = 0;
    batch.next = Batch<T>::Next::call;
    if (held)
      batch.plan.succeeded_in_part();
    else
      batch.plan.succeeded(bury_part(batch));
    return go_on(batch, now);
  }

  bool call_failed(Batch<T>& batch, std::exception_ptr error, TimePoint now) {
    core_.settlement.report(BackgroundError::Where::callback, error);
    batch.plan.failed(std::move(error), batch.failure, policy_, evidence(now), bury_part(batch));
    batch.probe_granted = false;
    return go_on(batch, now);
  }

  /// The result is kept and put again; only a drain gives up after a while.
  bool put_failed(Batch<T>& batch, std::exception_ptr error, TimePoint now) {
    core_.settlement.report(BackgroundError::Where::sink, error);
    ++batch.put_failures;
    if (last_chance_ && policy_.max_transient_attempts != FailurePolicy::unbounded &&
        batch.put_failures >= policy_.max_transient_attempts) {
      if (batch.puts.give_up(
              [&](std::size_t i) { batch.rejections.push_back({.index = i, .error = error}); }))
        return delivered(batch, now);
      for (std::size_t i = batch.part.begin; i < batch.part.end; ++i)
        ending_.bury(batch, i, batch.part.attempts, error);
      batch.next = Batch<T>::Next::call;
      batch.plan.succeeded(bury_part(batch));
      return go_on(batch, now);
    }
    batch.next = Batch<T>::Next::put;
    batch.due = later(now, delay(batch.put_failures));
    return false;
  }

 private:
  [[nodiscard]] Failure classified(const std::exception_ptr& error) const noexcept {
    try {
      return policy_.classified(error);
    } catch (...) {
      return Failure::poison;
    }
  }

  [[nodiscard]] RetryPlan::Evidence evidence(TimePoint now) const noexcept {
    return {.successes = successes_,
            .recent = successes_ > 0 && now < later(last_success_, policy_.recently),
            .last_chance = last_chance_};
  }

  [[nodiscard]] auto bury_part(Batch<T>& batch) {
    return [this, &batch](const RetryPlan::Part& dead) {
      for (std::size_t i = dead.begin; i < dead.end; ++i)
        ending_.bury(batch, i, dead.attempts, dead.error);
    };
  }

  /// After an attempt has been judged.
  bool go_on(Batch<T>& batch, TimePoint now) {
    switch (batch.plan.next()) {
      case RetryPlan::Next::attempt:
        batch.due = now;
        break;
      case RetryPlan::Next::wait:
        batch.due = later(now, delay(batch.plan.failures()));
        batch.plan.resume();
        break;
      case RetryPlan::Next::done:
        return true;
    }
    return false;
  }

  StreamCore<T>& core_;
  const FailurePolicy policy_;
  Ending<T> ending_{core_.settlement};
  SplitMix random_;
  std::uint64_t successes_ = 0;
  TimePoint last_success_{};
  bool last_chance_ = false;
};

}  // namespace microbatch::inline v0_1::detail
