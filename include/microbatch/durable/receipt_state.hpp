#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <utility>

#include "../concepts/storage.hpp"
#include "../core/acknowledgement.hpp"
#include "../core/results.hpp"
#include "../core/task.hpp"

namespace microbatch::inline v0_1::detail {

/// What is being caught, for one of the receipts that are told. A store's error is copied for each,
/// so that none is shared between threads.
[[nodiscard]] inline std::exception_ptr caught_error() {
  try {
    throw;
  } catch (const StorageError& error) {
    return std::make_exception_ptr(StorageError(error.what(), error.may_pass()));
  } catch (...) {
    return std::current_exception();
  }
}

/// What the items of one append call and its caller share. Complete when all of the items are
/// answered; whoever lets go last frees it. Small, because there may be one for each item: what it
/// takes to wait is made by who waits.
///
/// Threads: items are answered by any; the rest by the caller, one at a time.
class ReceiptState {
 public:
  explicit ReceiptState(Safety wanted) noexcept : safety(wanted) {}
  ReceiptState(const ReceiptState&) = delete;
  ReceiptState& operator=(const ReceiptState&) = delete;

  /// One more item; before the caller's own share is answered.
  void expect() noexcept { shares_.fetch_add(answer_due + reference, std::memory_order_relaxed); }
  /// So many items are written (the last of them there), or were refused with an error. Their
  /// shares are released.
  void answer(std::size_t items, Position last, std::exception_ptr error) {
    if (error) keep(std::move(error));
    // relaxed: published by finish(). Two threads may answer, the highest position stays.
    for (Position seen = last_.load(std::memory_order_relaxed);
         seen < last && !last_.compare_exchange_weak(seen, last, std::memory_order_relaxed);) {
    }
    finish(items * (answer_due + reference));
  }
  /// The caller expects no more items; it keeps its reference.
  void close(std::exception_ptr error) {
    if (error) keep(std::move(error));
    finish(answer_due);
  }

  /// The caller lets go.
  void release() noexcept { finish(reference); }

  void on_complete(Task task) {
    if (Watch* watch = this->watch()) {
      std::lock_guard lock(watch->mutex);
      if (!watch->told) {
        watch->then = std::move(task);
        return;
      }
    }
    task();
  }
  void wait() {
    if (ready()) return;
    Watch* watch = this->watch();
    if (watch == nullptr) return;
    std::unique_lock lock(watch->mutex);
    watch->changed.wait(lock, [&] { return watch->told; });
  }
  [[nodiscard]] bool wait_until(std::chrono::steady_clock::time_point deadline) {
    if (ready()) return true;
    Watch* watch = this->watch();
    if (watch == nullptr) return true;
    std::unique_lock lock(watch->mutex);
    return watch->changed.wait_until(lock, deadline, [&] { return watch->told; });
  }
  [[nodiscard]] bool ready() const noexcept {
    // acquire: with finish(). Once all is answered, error() and last() are final.
    return answers_due(shares_.load(std::memory_order_acquire)) == 0;
  }
  // Once ready.
  [[nodiscard]] const std::exception_ptr& error() const noexcept { return error_; }
  [[nodiscard]] Position last() const noexcept { return last_.load(std::memory_order_relaxed); }

  const Safety safety;

 private:
  /// Where one waits for the answer, or leaves what is to be called.
  struct Watch {
    std::mutex mutex;
    std::condition_variable changed;
    bool told = false;
    Task then;
  };

  // One word, so that an answer is one step: how many are due, how many hold the state, and whether
  // somebody is to be told.
  static constexpr std::uint64_t answer_due = 1;
  static constexpr std::uint64_t reference = std::uint64_t{1} << 32;
  static constexpr std::uint64_t watched = std::uint64_t{1} << 63;
  static std::uint64_t answers_due(std::uint64_t shares) noexcept { return shares % reference; }
  static std::uint64_t references(std::uint64_t shares) noexcept {
    return (shares & ~watched) / reference;
  }

  void finish(std::uint64_t part) {
    // acq_rel: the last answer passes on what all of them stored, and sees the watch; the one who
    // frees comes after everybody's last use.
    const std::uint64_t left = shares_.fetch_sub(part, std::memory_order_acq_rel) - part;
    if (answers_due(part) > 0 && answers_due(left) == 0 && (left & watched) != 0) return tell();
    if (references(left) == 0) delete this;
  }

  /// The watch has a reference for us.
  void tell() {
    Task then;
    {
      std::lock_guard lock(watch_->mutex);
      watch_->told = true;
      then = std::move(watch_->then);
    }
    watch_->changed
        .notify_all();  // without the mutex, or whoever wakes up would sleep again for it
    if (then) then();
    release();
  }

  /// Null: it is complete, and nobody will be told.
  [[nodiscard]] Watch* watch() {
    if (watch_ != nullptr) return watch_.get();
    watch_ = std::make_unique<Watch>();
    // acq_rel: finish() sees the watch, or we see what it has stored.
    const std::uint64_t before = shares_.fetch_add(watched + reference, std::memory_order_acq_rel);
    if (answers_due(before) > 0) return watch_.get();
    // relaxed: our own reference keeps it.
    shares_.fetch_sub(watched + reference, std::memory_order_relaxed);
    watch_.reset();
    return nullptr;
  }

  /// The first error stays.
  void keep(std::exception_ptr error) noexcept {
    // relaxed: it only tells who is first; finish() publishes what that one stores.
    if (!failed_.exchange(true, std::memory_order_relaxed)) error_ = std::move(error);
  }

  std::atomic<std::uint64_t> shares_{answer_due + reference};  // the caller's, and each item's
  std::atomic<Position> last_{-1};
  std::exception_ptr error_;
  std::unique_ptr<Watch> watch_;  // written by the caller before it says `watched`
  std::atomic<bool> failed_{false};
};

/// One item's share of a ReceiptState. Destroyed without an answer, it answers that the item was
/// not written.
class ReceiptShare {
 public:
  ReceiptShare() noexcept = default;
  explicit ReceiptShare(ReceiptState& state) noexcept : state_(&state) { state.expect(); }
  ReceiptShare(ReceiptShare&& other) noexcept : state_(std::exchange(other.state_, nullptr)) {}
  ReceiptShare& operator=(ReceiptShare&& other) noexcept {
    std::swap(state_, other.state_);
    return *this;
  }
  ~ReceiptShare() {
    if (state_ == nullptr) return;
    state_->answer(
        1, -1,
        std::make_exception_ptr(NotDelivered(
            Outcome::handed_back, "append: dropped, or closed, before the item was written")));
  }

  [[nodiscard]] ReceiptState* state() const noexcept { return state_; }
  /// The caller answers for it.
  [[nodiscard]] ReceiptState* take() noexcept { return std::exchange(state_, nullptr); }

 private:
  ReceiptState* state_ = nullptr;
};

}  // namespace microbatch::inline v0_1::detail
