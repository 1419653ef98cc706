#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <future>
#include <mutex>
#include <utility>

#include "../concepts/storage.hpp"
#include "../core/acknowledgement.hpp"
#include "../core/results.hpp"
#include "../core/task.hpp"

namespace microbatch::inline v0_1 {

/// Tags: `stream.append(item, microbatch::synced)` answers with a Receipt.
struct WrittenTag {
  explicit WrittenTag() = default;
};
struct SyncedTag {
  explicit SyncedTag() = default;
};
inline constexpr WrittenTag written{};
inline constexpr SyncedTag synced{};

namespace detail {

/// What the items of one append call and its caller share. Complete when all of the items are
/// answered; whoever lets go last frees it.
class ReceiptState {
 public:
  explicit ReceiptState(Safety wanted) noexcept : safety(wanted) {}

  /// One more item; before the caller's own share is answered.
  void expect() noexcept {
    references_.fetch_add(1, std::memory_order_relaxed);
    open_.fetch_add(1, std::memory_order_relaxed);
  }
  /// So many items are written (the last of them there), or were refused with an error. Their
  /// shares are released.
  void answer(std::size_t items, Position last, std::exception_ptr error) {
    finish(items, last, std::move(error));
    release(items);
  }
  /// The caller expects no more items.
  void close(std::exception_ptr error) { finish(1, -1, std::move(error)); }

  void on_complete(Task task) {
    {
      std::lock_guard lock(mutex_);
      if (watch()) {
        then_ = std::move(task);
        return;
      }
    }
    task();
  }
  void wait() {
    if (ready()) return;
    std::unique_lock lock(mutex_);
    if (watch()) done_.wait(lock, [&] { return ready(); });
  }
  [[nodiscard]] bool wait_until(std::chrono::steady_clock::time_point deadline) {
    if (ready()) return true;
    std::unique_lock lock(mutex_);
    return !watch() || done_.wait_until(lock, deadline, [&] { return ready(); });
  }
  [[nodiscard]] bool ready() const noexcept {
    // acquire: with the exchange in finish(). Once it is complete, error() and last() are final.
    return phase_.load(std::memory_order_acquire) == Phase::complete;
  }
  [[nodiscard]] const std::exception_ptr& error() const noexcept { return error_; }  // once ready
  // relaxed: once ready, too.
  [[nodiscard]] Position last() const noexcept { return last_.load(std::memory_order_relaxed); }

  void release(std::size_t n = 1) noexcept {
    // acq_rel: the one who frees sees what all the others did before.
    if (references_.fetch_sub(n, std::memory_order_acq_rel) == n) delete this;
  }

  const Safety safety;

 private:
  enum class Phase : std::uint8_t { open, watched, complete };

  void finish(std::size_t items, Position last, std::exception_ptr error) {
    if (error) {
      std::lock_guard lock(mutex_);
      if (!error_) error_ = std::move(error);
    }
    // Only the thread that writes has positions, and those ascend.
    if (last >= 0) last_.store(last, std::memory_order_relaxed);
    // acq_rel: the last one to finish sees, and passes on, what all the others stored.
    if (open_.fetch_sub(items, std::memory_order_acq_rel) != items) return;
    // release: with ready() and watch(). The common receipt has nobody to wake, and takes no lock.
    if (phase_.exchange(Phase::complete, std::memory_order_release) != Phase::watched) return;
    Task then;
    {
      std::lock_guard lock(mutex_);
      then = std::move(then_);
    }
    done_.notify_all();  // without the mutex, or whoever wakes up would sleep again for it
    if (then) then();
  }

  /// Under the mutex, which finish() takes, too, before it looks for whom to wake. False: it is
  /// complete already.
  [[nodiscard]] bool watch() noexcept {
    Phase now = Phase::open;
    // acquire: with the exchange in finish(). What a watcher leaves is published by the mutex.
    phase_.compare_exchange_strong(now, Phase::watched, std::memory_order_acquire);
    return now != Phase::complete;
  }

  std::atomic<std::size_t> references_{1};  // the caller's and each share's; the last release frees
  std::atomic<std::size_t> open_{1};        // the caller's and each share's, not answered yet
  std::atomic<Position> last_{-1};
  std::atomic<Phase> phase_{Phase::open};  // waiters say `watched`, the last to finish `complete`
  std::mutex mutex_;
  std::condition_variable done_;
  std::exception_ptr error_;
  Task then_;
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

}  // namespace detail

/// Whether an append has become as safe as it was asked to be, as a future. get() returns the last
/// item's position, or throws: AppendError where it was never accepted, StorageError where it could
/// not be written, NotDelivered where the stream was closed before.
///
/// A StorageError whose text says `unknown` means what it says: the item may be there after all.
/// Threads: one at a time per object.
///
///     stream.append(order, microbatch::synced).get();   // returns after the fsync
class [[nodiscard]] Receipt {
 public:
  Receipt() noexcept = default;
  Receipt(Receipt&& other) noexcept
      : state_(std::exchange(other.state_, nullptr)), result_(other.result_) {}
  Receipt& operator=(Receipt&& other) noexcept {
    std::swap(state_, other.state_);
    std::swap(result_, other.result_);
    return *this;
  }
  ~Receipt() {
    if (state_ != nullptr) state_->release();
  }

  /// What the append itself achieved, known at once: of a range, what stopped it.
  [[nodiscard]] AppendResult result() const noexcept { return result_.result; }
  /// How many items were accepted from the front.
  [[nodiscard]] std::size_t accepted() const noexcept { return result_.accepted; }
  [[nodiscard]] bool ready() const { return checked().ready(); }
  void wait() const { checked().wait(); }
  template <class Rep, class Period>
  std::future_status wait_for(std::chrono::duration<Rep, Period> timeout) const {
    const auto until = detail::later(steady_clock().now(), detail::to_duration(timeout));
    return checked().wait_until(until) ? std::future_status::ready : std::future_status::timeout;
  }
  Position get() const {
    wait();
    if (auto error = checked().error()) rethrow(std::move(error));
    return checked().last();
  }
  /// Calls f(std::exception_ptr), null for success, once, on the thread that writes (at once where
  /// it is known already); f must not throw.
  template <class F>
  void then(F f) {
    auto* state = &checked();
    state->on_complete([state, f = std::move(f)]() mutable { f(state->error()); });
  }
  auto operator co_await() const {
    struct Awaiter {
      const Receipt* receipt;
      [[nodiscard]] bool await_ready() const { return receipt->ready(); }
      void await_suspend(std::coroutine_handle<> handle) const {
        receipt->checked().on_complete([handle] { handle.resume(); });
      }
      Position await_resume() const { return receipt->get(); }
    };
    return Awaiter{this};
  }

  // For the stream.
  explicit Receipt(Safety wanted) : state_(new detail::ReceiptState(wanted)) {}
  [[nodiscard]] detail::ReceiptState& state() const noexcept { return *state_; }
  /// No more items will be appended for it.
  void set_result(RangeResult result) {
    result_ = result;
    const bool taken =
        result.result == AppendResult::accepted || result.result == AppendResult::dropped;
    state_->close(taken ? nullptr : std::make_exception_ptr(AppendError(result.result)));
  }

 private:
  /// A store's error as an exception of the caller's own: the one that is kept may go with the
  /// thread that writes, and the thread sanitizer does not see how exceptions are counted.
  [[noreturn]] static void rethrow(std::exception_ptr error) {
    try {
      std::rethrow_exception(std::move(error));
    } catch (const StorageError& e) {
      throw StorageError(e.what(), e.may_pass());
    }
  }
  [[nodiscard]] detail::ReceiptState& checked() const {
    if (state_ == nullptr) throw UsageError("Receipt: it belongs to no append (moved from?)");
    return *state_;
  }

  detail::ReceiptState* state_ = nullptr;
  RangeResult result_{.result = AppendResult::closed};
};

}  // namespace microbatch::inline v0_1
