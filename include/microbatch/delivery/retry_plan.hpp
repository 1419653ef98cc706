#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <exception>
#include <iterator>
#include <utility>
#include <vector>

#include "failure_policy.hpp"

namespace microbatch::inline v0_1::detail {

/// Decides, for one window, which of its items are tried next and which have died: the retry and
/// isolation policy as a state machine over index ranges. It knows nothing of items, time or
/// threads.
///
/// A window is first tried whole, max_attempts times. Then a part that fails is halved, and a
/// single item that fails is dead, as long as there is evidence: a success, of whatever window,
/// since the last failure of these items. Without evidence the part that failed is halved and
/// everything waits, and after each wait one part is tried as a probe, until one succeeds: an
/// outage costs one call per wait and kills nothing, and no number of poison items can hide a good
/// one for ever.
class RetryPlan {
 public:
  struct Part {
    std::uint32_t begin = 0;
    std::uint32_t end = 0;
    std::uint32_t attempts = 0;  ///< how often these items have been tried
    std::uint64_t since = 0;     ///< successes counted when these items failed last
    bool alone = false;          ///< no longer the whole window: one attempt, then it is judged
    bool doubted = false;        ///< failed alone since others succeeded in this round
    std::exception_ptr error{};  ///< of the last failure

    [[nodiscard]] std::uint32_t size() const noexcept { return end - begin; }
  };

  /// What the engine knows beyond this window.
  struct Evidence {
    std::uint64_t successes = 0;  ///< calls that succeeded so far, of all windows
    bool recent = false;          ///< one of them lately: then both halves are tried before a wait
    bool last_chance = false;  ///< the stream drains: no other window may ever come to be evidence
  };

  enum class Next : std::uint8_t { attempt, wait, done };

  /// So that start() needs no memory.
  void reserve() { queue_.reserve(4); }
  void start(std::uint32_t size) noexcept {
    queue_.clear();
    held_.clear();
    queue_.push_back({.end = size});
    size_ = size;
    tries_ = failures_ = round_successes_ = 0;
    stalled_ = lenient_ = false;
  }

  [[nodiscard]] Next next() const noexcept {
    if (!queue_.empty()) return Next::attempt;
    return held_.empty() ? Next::done : Next::wait;
  }

  /// The part to try now; tell succeeded() or failed() before the next one.
  const Part& take() {
    current_ = std::move(queue_.front());
    queue_.erase(queue_.begin());
    ++current_.attempts;
    if (current_.alone) ++tries_;
    return current_;
  }
  /// The part was not tried after all.
  void put_back() {
    --current_.attempts;
    if (current_.alone) --tries_;
    queue_.insert(queue_.begin(), std::move(current_));
  }
  /// The wait is over (or need not be waited for).
  void resume() {
    round_successes_ = 0;
    for (Part& part : held_) part.doubted = false;
    release_held();
  }

  /// 0 for the whole window, then 1, 2, ...: Window::part().
  [[nodiscard]] std::uint32_t part_number() const noexcept { return current_.alone ? tries_ : 0; }
  /// In a row, from 1: the delay grows with it.
  [[nodiscard]] std::uint32_t failures() const noexcept { return std::max(1U, failures_); }
  /// Its attempts are used up and there is no evidence. The engine lets another window go ahead.
  [[nodiscard]] bool stalled() const noexcept { return stalled_; }

  /// One item of the part just tried failed by itself, and is worth another attempt.
  void hold_item(std::uint32_t index, std::exception_ptr error) {
    held_.push_back({.begin = index,
                     .end = index + 1,
                     .attempts = current_.attempts,
                     .since = current_.since,
                     .alone = true,
                     .error = std::move(error)});
  }

  /// But for the items that were held.
  void succeeded_in_part() {
    failures_ = 0;
    stalled_ = false;
  }
  /// A single item that failed between two successes is dead.
  template <class Dead>
  void succeeded(Dead&& dead) {
    succeeded_in_part();
    ++round_successes_;
    std::erase_if(held_, [&](const Part& part) {
      if (part.doubted) dead(part);
      return part.doubted;
    });
    release_held();
  }

  /// `dead(part)` is called for each part that has died by this, with its error and attempts.
  template <class Dead>
  void failed(std::exception_ptr error, Failure kind, const FailurePolicy& policy,
              const Evidence& evidence, Dead&& dead) {
    ++failures_;
    Part part = std::move(current_);
    part.error = std::move(error);
    if (!part.alone && part.attempts == 1) part.since = evidence.successes;
    if (kind == Failure::transient) {
      if (policy.max_transient_attempts != FailurePolicy::unbounded &&
          part.attempts >= policy.max_transient_attempts) {
        dead(std::as_const(part));
        return;
      }
      held_.push_back(std::move(part));
      return break_off();
    }
    if (!part.alone) {
      if (part.attempts < policy.max_attempts) {
        held_.push_back(std::move(part));
        return;
      }
      if (policy.isolate == Isolate::off) {
        dead(std::as_const(part));
        return;
      }
    }
    const bool first_split = !std::exchange(part.alone, true) && part.size() > 1;
    if (first_split) lenient_ = evidence.recent;
    const bool convicted = policy.isolate == Isolate::always || evidence.successes > part.since ||
                           (first_split && evidence.recent);
    part.since = evidence.successes;
    if (convicted) {
      if (part.size() <= 1)
        dead(std::as_const(part));
      else
        halve(std::move(part), queue_);
      return;
    }
    part.doubted = part.size() == 1 && round_successes_ > 0;
    hold(std::move(part));
    if (evidence.last_chance) return last_chance(dead);
    if (lenient_ && !queue_.empty()) return;  // its sibling may still be the evidence
    stalled_ = true;
    break_off();
  }

 private:
  static void halve(Part&& part, std::vector<Part>& into) {
    const std::uint32_t middle = part.begin + part.size() / 2;
    part.alone = true;
    Part right = part;
    right.begin = middle;
    part.end = middle;
    into.push_back(std::move(part));
    into.push_back(std::move(right));
  }
  void hold(Part&& part) {
    part.alone = true;
    if (part.size() <= 1)
      held_.push_back(std::move(part));
    else
      halve(std::move(part), held_);
  }
  /// What was not tried is tried first after the wait.
  void break_off() {
    lenient_ = false;
    queue_.insert(queue_.end(), std::make_move_iterator(held_.begin()),
                  std::make_move_iterator(held_.end()));
    held_.clear();
    held_.swap(queue_);
  }
  void release_held() {
    queue_.insert(queue_.end(), std::make_move_iterator(held_.begin()),
                  std::make_move_iterator(held_.end()));
    held_.clear();
  }
  /// No wait can help: a bounded number of probes in a row, then all that is left has died.
  template <class Dead>
  void last_chance(Dead&& dead) {
    release_held();
    if (queue_.size() > 1 && failures_ <= static_cast<std::uint32_t>(std::bit_width(size_)) + 4)
      return;
    for (const Part& part : queue_) dead(part);
    queue_.clear();
  }

  std::vector<Part> queue_;  // to try now, in this order
  std::vector<Part> held_;   // failed; to try after a wait, or after a success
  Part current_;
  std::uint32_t size_ = 0;
  std::uint32_t tries_ = 0;
  std::uint32_t failures_ = 0;
  std::uint32_t round_successes_ = 0;  // since the last wait
  bool stalled_ = false;
  bool lenient_ = false;
};

}  // namespace microbatch::inline v0_1::detail
