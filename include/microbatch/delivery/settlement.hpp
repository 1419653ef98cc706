#pragma once

#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "../core/item_slots.hpp"
#include "../core/results.hpp"
#include "../core/room.hpp"
#include "../core/window_event.hpp"
#include "commit_tracker.hpp"
#include "dead_letter.hpp"
#include "ledger.hpp"

namespace microbatch::inline v0_1::detail {

/// What settling has to tell users: collected under the token, told outside of it.
template <class T>
struct Aftermath {
  struct Ack {
    AckState* state;
    std::exception_ptr error;
  };
  std::vector<BackgroundError> errors;
  std::vector<DeadLetter<T>> letters;
  std::vector<Ack> acks;
  std::vector<Origin> commits;
  std::vector<WindowEvent> windows;

  [[nodiscard]] bool empty() const noexcept {
    return errors.empty() && letters.empty() && acks.empty() && commits.empty() && windows.empty();
  }
  void clear() noexcept {
    errors.clear();
    letters.clear();
    acks.clear();
    commits.clear();
    windows.clear();
  }
  void swap(Aftermath& other) noexcept {
    errors.swap(other.errors);
    letters.swap(other.letters);
    acks.swap(other.acks);
    commits.swap(other.commits);
    windows.swap(other.windows);
  }
};

/// The one place where items end: the ledger, the capacity, acknowledgements and commit positions
/// all follow from settle().
///
/// Threads: whoever holds the token.
template <class T>
class Settlement {
 public:
  explicit Settlement(Room& room) noexcept : room_(room) {}

  /// n items end alike. They are not destroyed here. `error` is for their acknowledgements; where
  /// it is null and the outcome is not `delivered`, they get one that names the outcome.
  void settle(ItemSlots<T>& slots, std::size_t slot, std::size_t n, Outcome outcome,
              std::exception_ptr error = nullptr, DropCause cause = DropCause::newest) {
    if (n == 0) return;
    ledger.count(outcome, cause, n);
    std::uint64_t bytes = 0;
    if (slots.weights.get() != nullptr)
      for (std::size_t i = slot; i < slot + n; ++i) bytes += slots.weight(i);
    if (slots.acks.get() != nullptr) acknowledge(slots, slot, n, outcome, cause, std::move(error));
    const bool ended_for_good = outcome != Outcome::handed_back && outcome != Outcome::abandoned;
    if (ended_for_good && slots.origins.get() != nullptr && tracking_)
      commits_ |= tracking_->tracker->done(std::span(slots.origins.get() + slot, n));
    room_.give(static_cast<std::int64_t>(n), bytes);
  }

  /// From now on origins are tracked, and `commit` is told of every prefix that has grown.
  void track(std::shared_ptr<CommitTracker> tracker, std::function<void(const Origin&)> commit) {
    tracking_ = std::make_unique<const Tracking>(std::move(tracker), std::move(commit));
  }
  /// By the one who tells, outside of the token.
  void commit(const Origin& last) const { tracking_->commit(last); }

  void report(BackgroundError::Where where, const std::exception_ptr& error) noexcept {
    try {
      after_.errors.push_back({where, error, text_of(error)});
    } catch (...) {  // no memory for the news: the items end all the same
    }
  }
  void settled(const WindowEvent& event) noexcept {
    try {
      after_.windows.push_back(event);
    } catch (...) {  // no memory for the news
    }
  }
  void bury(DeadLetter<T>&& letter) { after_.letters.push_back(std::move(letter)); }

  /// Everything there is to tell since the last call.
  void collect(Aftermath<T>& into) {
    if (std::exchange(commits_, false)) tracking_->tracker->collect(after_.commits);
    into.clear();
    into.swap(after_);
  }
  [[nodiscard]] bool has_aftermath() const noexcept { return commits_ || !after_.empty(); }

  Ledger ledger;

 private:
  struct Tracking {
    Tracking(std::shared_ptr<CommitTracker> t, std::function<void(const Origin&)> c)
        : tracker(std::move(t)), commit(std::move(c)) {}
    const std::shared_ptr<CommitTracker> tracker;
    const std::function<void(const Origin&)> commit;
  };

  void acknowledge(ItemSlots<T>& slots, std::size_t slot, std::size_t n, Outcome outcome,
                   DropCause cause, std::exception_ptr error) {
    for (std::size_t i = slot; i < slot + n; ++i) {
      AckState* state = slots.ack(i);
      if (state == nullptr) continue;
      slots.acks.get()[i] = nullptr;
      try {
        if (!error && outcome != Outcome::delivered) error = why_not(outcome, cause);
        after_.acks.push_back({state, error});
      } catch (...) {  // no memory to keep it until the token is free: told here and now
        if (!error && outcome != Outcome::delivered) error = std::current_exception();
        state->complete(error);
        state->release();
      }
    }
  }

  static std::exception_ptr why_not(Outcome outcome, DropCause cause) {
    std::string why = "item " + std::string(to_string(outcome));
    if (outcome == Outcome::dropped) why += ": " + std::string(to_string(cause));
    return std::make_exception_ptr(NotDelivered(outcome, why));
  }

  Room& room_;
  std::unique_ptr<const Tracking> tracking_;  // null: the items have no source
  Aftermath<T> after_;
  bool commits_ = false;  // the tracker has heard of something
};

}  // namespace microbatch::inline v0_1::detail
