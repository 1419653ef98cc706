#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <coroutine>
#include <exception>
#include <future>
#include <memory>
#include <mutex>
#include <utility>

#include "clock.hpp"
#include "errors.hpp"
#include "results.hpp"
#include "task.hpp"

namespace microbatch::inline v0_1 {

/// Tag: `stream.append(item, microbatch::ack)` answers with an Acknowledgement.
struct AckTag {
  explicit AckTag() = default;
};
inline constexpr AckTag ack{};

/// The item was not taken in.
class AppendError : public std::runtime_error {
 public:
  explicit AppendError(AppendResult result)
      : std::runtime_error("append refused: " + std::string(to_string(result))), result_(result) {}
  [[nodiscard]] AppendResult result() const noexcept { return result_; }

 private:
  AppendResult result_;
};

/// The item was taken in and ended otherwise than delivered or dead-lettered.
class NotDelivered : public std::runtime_error {
 public:
  NotDelivered(Outcome outcome, const std::string& why)
      : std::runtime_error(why), outcome_(outcome) {}
  [[nodiscard]] Outcome outcome() const noexcept { return outcome_; }

 private:
  Outcome outcome_;
};

namespace detail {

/// What the item and its appender share. The item's side completes it once; whoever lets go last
/// frees it.
class AckState {
 public:
  AckState() = default;

  void complete(std::exception_ptr error);  // null: delivered
  void release() noexcept;
  void on_complete(Task task);  // at once where it is complete already
  void wait() const;
  [[nodiscard]] bool wait_until(std::chrono::steady_clock::time_point deadline) const;
  [[nodiscard]] bool ready() const;
  [[nodiscard]] std::exception_ptr error() const;  // once ready

 private:
  std::atomic<int> references_{2};  // the item's side and the appender's; the last release frees
  mutable std::mutex mutex_;
  mutable std::condition_variable done_;
  bool complete_ = false;
  std::exception_ptr error_;
  Task then_;
};

}  // namespace detail

/// One item's end, as a future: ready when the item is settled. get() returns Outcome::delivered or
/// throws what the item died of: the callback's own error where it was dead-lettered, NotDelivered
/// where it was dropped, handed back or abandoned, AppendError where it was never accepted.
///
/// Threads: one at a time per object. It allocates one small block per item.
///
///     auto result = stream.append(order, microbatch::ack);
///     result.get();                 // or result.then(f), or co_await result
class [[nodiscard]] Acknowledgement {
 public:
  Acknowledgement() noexcept = default;
  Acknowledgement(Acknowledgement&& other) noexcept
      : state_(std::exchange(other.state_, nullptr)), result_(other.result_) {}
  Acknowledgement& operator=(Acknowledgement&& other) noexcept {
    std::swap(state_, other.state_);
    std::swap(result_, other.result_);
    return *this;
  }
  ~Acknowledgement() {
    if (state_ != nullptr) state_->release();
  }

  /// What the append itself achieved, known at once.
  [[nodiscard]] AppendResult result() const noexcept { return result_; }

  [[nodiscard]] bool valid() const noexcept { return state_ != nullptr; }
  [[nodiscard]] bool ready() const { return checked().ready(); }
  void wait() const { checked().wait(); }

  template <class Rep, class Period>
  std::future_status wait_for(std::chrono::duration<Rep, Period> timeout) const {
    const auto until =
        detail::later(std::chrono::time_point_cast<Duration>(std::chrono::steady_clock::now()),
                      detail::to_duration(timeout));
    return checked().wait_until(until) ? std::future_status::ready : std::future_status::timeout;
  }

  /// Waits; see the class comment for what it throws. Unlike a std::future it may be asked again.
  Outcome get() const {
    wait();
    if (auto error = checked().error()) std::rethrow_exception(error);
    return Outcome::delivered;
  }

  /// Calls f(std::exception_ptr), null for delivered, once, on the thread that settles the item (at
  /// once where it is settled already). Replaces waiting; f must not throw.
  template <class F>
  void then(F f) {
    auto* state = &checked();
    state->on_complete([state, f = std::move(f)]() mutable { f(state->error()); });
  }

  auto operator co_await() const {
    struct Awaiter {
      detail::AckState* state;
      [[nodiscard]] bool await_ready() const { return state->ready(); }
      void await_suspend(std::coroutine_handle<> handle) const {
        state->on_complete([handle] { handle.resume(); });
      }
      Outcome await_resume() const {
        if (auto error = state->error()) std::rethrow_exception(error);
        return Outcome::delivered;
      }
    };
    return Awaiter{&checked()};
  }

  // For the stream: the appender's side of `state`.
  explicit Acknowledgement(detail::AckState* state) noexcept : state_(state) {}
  void set_result(AppendResult result) {
    result_ = result;
    if (result != AppendResult::accepted && result != AppendResult::dropped)
      state_->complete(std::make_exception_ptr(AppendError(result)));
  }

 private:
  [[nodiscard]] detail::AckState& checked() const {
    if (state_ == nullptr) throw UsageError("Acknowledgement: it belongs to no item (moved from?)");
    return *state_;
  }

  detail::AckState* state_ = nullptr;
  AppendResult result_ = AppendResult::closed;
};

namespace detail {

/// put(state) appends; the item's side of `state` goes with the item, or is let go where the item
/// is not taken.
template <class Put>
AppendResult put_with_state(AckState* state, Put put) {
  struct Release {
    void operator()(AckState* s) const noexcept { s->release(); }
  };
  std::unique_ptr<AckState, Release> item_side(state);
  const AppendResult result = put(state);
  if (result == AppendResult::accepted || result == AppendResult::dropped)
    (void)item_side.release();
  return result;
}

/// An append that is answered when the item is settled.
template <class Put>
Acknowledgement put_acknowledged(Put put) {
  auto* state = new AckState;
  Acknowledgement answer(state);
  answer.set_result(put_with_state(state, std::move(put)));
  return answer;
}

/// An append after which f is called when the item is settled.
template <class F, class Put>
AppendResult put_with_completion(F f, Put put) {
  auto* state = new AckState;
  Acknowledgement appender_side(state);
  appender_side.then(std::move(f));
  return put_with_state(state, std::move(put));
}

}  // namespace detail
}  // namespace microbatch::inline v0_1
