#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "../concepts/codec.hpp"
#include "../delivery/dead_letter.hpp"
#include "durable_window.hpp"

namespace microbatch::detail {

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

  void commit(std::span<const ItemRun> runs, typename S::Transaction& transaction) {
    guarded([&] { store_->settle(token(), runs, transaction, commit_); });
  }
  void record_failure(const Window<T>& window) noexcept {
    try {
      guarded([&] { store_->record_failure(token(), runs_of(window, {})); });
    } catch (...) {  // the failure itself is what counts
    }
  }
  void bury(const DeadLetter<T>& letter) {
    StoredDeadLetter stored{.position = letter.origin.offset,
                            .error = letter.error,
                            .attempts = letter.attempts + earlier_attempts(letter.origin.offset)};
    codec_.encode(letter.item, stored.item);
    guarded([&] { store_->bury(token(), stored); });
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

/// A callback's result on its way through the sink, and what commits with it.
template <class S, class R>
struct Committing {
  struct Nothing {};
  std::optional<std::conditional_t<std::is_void_v<R>, Nothing, R>> value{};
  std::vector<ItemRun> runs{};
  typename S::Transaction transaction{};
  bool put = false;  ///< the user's sink has it
  bool committed = false;
};

/// The callback of a term's core consumer: the user's, then the commit, unless that has to wait for
/// a sink or for the windows before this one.
template <class T, Storage S, Codec<T> C, class F>
class Committed {
 public:
  using R = DurableReturned<T, S, F>;
  using Result = Committing<S, R>;

  Committed(std::shared_ptr<Term<T, S, C>> term, std::shared_ptr<F> callback, bool commit_later)
      : term_(std::move(term)), callback_(std::move(callback)), commit_later_(commit_later) {}

  Result operator()(Window<T>& window) {
    Result result;
    try {
      term_->check();
      std::vector<bool> rejected;
      std::uint32_t earlier = 0;
      for (std::size_t i = 0; i < window.size(); ++i)
        earlier = std::max(earlier, term_->earlier_attempts(window.origin(i).offset));
      DurableWindow<T, S> durable(window, result.transaction, rejected, earlier);
      if constexpr (std::is_void_v<R>)
        call_durable<T, S>(*callback_, durable);
      else
        result.value.emplace(call_durable<T, S>(*callback_, durable));
      result.runs = Term<T, S, C>::runs_of(window, rejected);
      if (!commit_later_) term_->commit(result.runs, result.transaction);
    } catch (const StorageError&) {  // no attempt of the callback's
      throw;
    } catch (...) {
      term_->record_failure(window);
      throw;
    }
    return result;
  }

 private:
  std::shared_ptr<Term<T, S, C>> term_;
  std::shared_ptr<F> callback_;
  bool commit_later_;
};

/// The sink of a term's core consumer: the user's, then the commit. Each is repeated by itself.
template <class T, Storage S, Codec<T> C, class R>
class CommitSink {
 public:
  CommitSink(std::shared_ptr<Term<T, S, C>> term, AnySink<typename ResultOf<R>::type> sink)
      : term_(std::move(term)), sink_(std::move(sink)) {}

  void put(std::span<const Committing<S, R>> results) {
    for (const auto& kept : results) {
      auto& result = const_cast<Committing<S, R>&>(kept);  // the engine's own, kept for a retry
      if constexpr (!std::is_void_v<R>)
        if (sink_ && !result.put) put_one(*result.value);
      result.put = true;
      if (!result.committed) term_->commit(result.runs, result.transaction);
      result.committed = true;
    }
  }
  void close() { sink_.close(); }

 private:
  template <class V>
  void put_one(V& value) {
    if constexpr (ManyResults<V>) {
      using E = std::ranges::range_value_t<V>;
      sink_.put(std::span<const E>(std::ranges::data(value), std::ranges::size(value)));
    } else {
      sink_.put(std::span<const V>(&value, 1));
    }
  }

  std::shared_ptr<Term<T, S, C>> term_;
  AnySink<typename ResultOf<R>::type> sink_;
};

}  // namespace microbatch::detail
