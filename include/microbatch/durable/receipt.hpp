#pragma once

#include <chrono>
#include <coroutine>
#include <cstddef>
#include <exception>
#include <future>
#include <utility>

#include "../concepts/storage.hpp"
#include "../core/acknowledgement.hpp"
#include "../core/results.hpp"
#include "receipt_state.hpp"

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
  /// Calls f(std::exception_ptr), null for success, once, on a thread that writes or syncs (at once
  /// where it is known already); f must not throw. What is called for several receipts may run at
  /// the same time, and in another order than they were appended in.
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
