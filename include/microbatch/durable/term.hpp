#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "../concepts/codec.hpp"
#include "../concepts/storage.hpp"
#include "../core/window.hpp"
#include "../delivery/dead_letter.hpp"
#include "lending.hpp"

namespace microbatch::inline v0_1::detail {

/// What one holder of a stream's lease does to the store while it holds it: commits, failures and
/// dead letters of what it has loaded.
///
/// Threads: any.
template <class T, Storage S, Codec<T> C>
class Term {
 public:
  Term(std::shared_ptr<S> store, C codec, Safety commit)
      : store_(std::move(store)), codec_(std::move(codec)), commit_(commit) {}

  void begin(std::uint64_t token) noexcept { token_.store(token, std::memory_order_release); }
  [[nodiscard]] std::uint64_t token() const noexcept {
    return token_.load(std::memory_order_acquire);
  }
  /// Another one holds the lease; nothing more can be committed.
  [[nodiscard]] bool lost() const noexcept { return lost_.load(std::memory_order_acquire); }
  void lose() noexcept { lost_.store(true, std::memory_order_release); }
  void check() const {
    if (lost()) throw LeaseLost("durable stream: the lease was lost");
  }
  void on_lost(std::function<void()> f) { told_ = std::move(f); }

  /// The batch's items are about to be appended to the delivery stream.
  void loaded(const StoredBatch& batch) {
    if (batch.attempts.empty()) return;
    std::lock_guard lock(mutex_);
    attempts_[batch.number] = batch.attempts;
  }
  /// Failed attempts of the item before this term.
  [[nodiscard]] std::uint32_t earlier_attempts(Position position) {
    std::lock_guard lock(mutex_);
    if (attempts_.empty()) return 0;
    const auto batch = attempts_.find(batch_of(position));
    return batch == attempts_.end() ? 0 : batch->second[index_of(position)];
  }

  /// The window's items by runs, but for those that are rejected.
  [[nodiscard]] static std::vector<ItemRun> runs_of(const Window<T>& window,
                                                    const std::vector<bool>& rejected) {
    std::vector<ItemRun> runs;
    for (std::size_t i = 0; i < window.size(); ++i) {
      if (i < rejected.size() && rejected[i]) continue;
      const Position position = window.origin(i).offset;
      const std::int64_t batch = batch_of(position);
      const std::uint32_t index = index_of(position);
      if (!runs.empty() && runs.back().batch == batch && runs.back().end == index)
        ++runs.back().end;
      else
        runs.push_back({.batch = batch, .begin = index, .end = index + 1});
    }
    return runs;
  }

  /// Another process handles them, and has committed them when this returns true.
  bool lend(std::span<const ItemRun> runs, Duration time, const std::stop_token& stop) {
    bool done = false;
    if constexpr (LendingStorage<S>)
      guarded([&] { done = lent(*store_, token(), runs, time, stop); });
    return done;
  }
  void commit(std::span<const ItemRun> runs, typename S::Transaction& transaction) {
    guarded([&] { store_->settle(token(), runs, transaction, commit_); });
  }
  void record_failure(std::span<const ItemRun> runs) noexcept {
    try {
      guarded([&] { store_->record_failure(token(), runs); });
    } catch (...) {  // the failure itself is what counts
    }
  }
  /// While it lives, these items are with a callback: they have failed if the process does not
  /// survive it.
  class WithCallback {
   public:
    WithCallback(Term& term, std::span<const ItemRun> runs) noexcept
        : store_(*term.store_), token_(term.token()), mark_(store_.mark(token_, runs)) {}
    WithCallback(const WithCallback&) = delete;
    WithCallback& operator=(const WithCallback&) = delete;
    ~WithCallback() { store_.unmark(token_, mark_); }

   private:
    S& store_;
    const std::uint64_t token_;
    const std::uint32_t mark_;
  };
  /// This item is dead.
  void bury(const StoredDeadLetter& letter) {
    guarded([&] { store_->bury(token(), letter); });
  }
  void bury(const DeadLetter<T>& letter) {
    StoredDeadLetter stored{.position = letter.origin.offset,
                            .error = letter.error,
                            .attempts = letter.attempts + earlier_attempts(letter.origin.offset)};
    codec_.encode(letter.item, stored.item);
    bury(stored);
  }

 private:
  template <class F>
  void guarded(F&& f) {
    check();
    try {
      f();
    } catch (const LeaseLost&) {
      lose();
      if (told_) told_();
      throw;
    }
  }

  std::shared_ptr<S> store_;
  C codec_;
  Safety commit_;
  std::atomic<std::uint64_t> token_{0};
  std::atomic<bool> lost_{false};
  std::function<void()> told_;
  std::mutex mutex_;
  std::map<std::int64_t, std::vector<std::uint16_t>> attempts_;
};

}  // namespace microbatch::inline v0_1::detail
