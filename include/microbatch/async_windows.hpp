#pragma once

#include <condition_variable>
#include <coroutine>
#include <exception>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <stop_token>
#include <type_traits>
#include <utility>

#include "streaming.hpp"

namespace microbatch::inline v0_1 {

namespace detail {

/// A window on its way through a coroutine; it stands in the callback that lends it.
template <class T>
struct LentWindow {
  Window<T>* window;
  bool returned = false;
  std::exception_ptr error{};
};

/// Between the callback that has a window and the coroutine that wants one. The mutex guards all of
/// it, and the loans.
template <class T>
struct Lending {
  struct Borrower {
    std::coroutine_handle<> coroutine;
    LentWindow<T>* loan = nullptr;
  };

  /// The callback: waits for a coroutine, resumes it right here, and waits until it is done.
  void lend(Window<T>& window) {
    LentWindow<T> loan{&window};
    std::unique_lock lock(mutex);
    if (!changed.wait(lock, window.stop_token(), [&] { return borrower || ended; }) || ended)
      throw TransientError("AsyncWindows: no coroutine waits for a window any more");
    borrower->loan = &loan;
    const auto coroutine = std::exchange(borrower, nullptr)->coroutine;
    lock.unlock();
    coroutine.resume();
    lock.lock();
    changed.wait(lock, [&] { return loan.returned; });
    if (loan.error) std::rethrow_exception(loan.error);
  }

  /// Nothing more comes: whoever waits hears of it.
  void end() {
    std::unique_lock lock(mutex);
    ended = true;
    changed.notify_all();
    Borrower* const last = std::exchange(borrower, nullptr);
    lock.unlock();
    if (last != nullptr) last->coroutine.resume();
  }

  std::mutex mutex;
  std::condition_variable_any changed;
  Borrower* borrower = nullptr;
  bool ended = false;
};

}  // namespace detail

/// A window in a coroutine's hands; false behind the last one. Where it goes, the window has
/// succeeded; where an exception takes it along, or after fail(), the window has failed, and the
/// failure policy says what follows.
template <class T>
class [[nodiscard]] BorrowedWindow {
 public:
  BorrowedWindow() = default;
  BorrowedWindow(std::shared_ptr<detail::Lending<T>> lending, detail::LentWindow<T>* loan)
      : lending_(std::move(lending)), loan_(loan) {}
  BorrowedWindow(BorrowedWindow&& other) noexcept
      : lending_(std::move(other.lending_)), loan_(std::exchange(other.loan_, nullptr)) {}
  BorrowedWindow& operator=(BorrowedWindow&&) = delete;
  ~BorrowedWindow() {
    if (loan_ == nullptr) return;
    std::lock_guard lock(lending_->mutex);
    if (std::uncaught_exceptions() > exceptions_ && !loan_->error)
      loan_->error = std::make_exception_ptr(
          std::runtime_error("AsyncWindows: an exception left the coroutine's window"));
    loan_->returned = true;
    lending_->changed.notify_all();
  }

  [[nodiscard]] explicit operator bool() const noexcept { return loan_ != nullptr; }
  [[nodiscard]] Window<T>& operator*() const noexcept { return *loan_->window; }
  [[nodiscard]] Window<T>* operator->() const noexcept { return loan_->window; }
  /// All of it has failed, with this error.
  void fail(std::exception_ptr error) { loan_->error = std::move(error); }

 private:
  std::shared_ptr<detail::Lending<T>> lending_;
  detail::LentWindow<T>* loan_ = nullptr;
  int exceptions_ = std::uncaught_exceptions();
};

/// The windows of a stream for a coroutine, instead of a callback:
///
///     microbatch::AsyncWindows<std::string> windows(stream, microbatch::CountWindow{100});
///     while (auto window = co_await windows.next()) store(*window);
///
/// next() resumes on the consumer's executor, where a callback would run, and the window lasts as
/// long as the BorrowedWindow. The worker waits for it: a coroutine that awaits something else in
/// between keeps it, and one that takes no windows is a callback that hangs.
/// Threads: any; one coroutine waits at a time (UsageError for a second one). With
/// Order::unordered it may hold several windows. Errors: those of streaming().
/// Ending: close() delivers what is in, which needs somebody who takes it. The destructor is
/// stop().
template <class T>
class AsyncWindows {
 public:
  template <class E>
  AsyncWindows(Stream<T>& stream, E emitter, std::type_identity_t<ConsumerOptions<T>> options = {})
      : consumer_(streaming(
            stream, std::move(emitter),
            [lending = lending_](Window<T>& window) { lending->lend(window); },
            std::move(options))) {}
  AsyncWindows(const AsyncWindows&) = delete;
  AsyncWindows& operator=(const AsyncWindows&) = delete;
  ~AsyncWindows() {
    try {
      (void)consumer_.stop();
    } catch (const UsageError&) {
      return;  // a copy in a forked child: nobody waits there
    }
    lending_->end();
  }

  /// co_await it: the next window, or none behind the last one. A coroutine that is destroyed while
  /// it waits is forgotten; not while it is being resumed.
  [[nodiscard]] auto next() { return Next(lending_); }

  /// As Consumer::close; then next() answers none.
  CloseResult<T> close() { return ended(consumer_.close()); }
  template <class Rep, class Period>
  CloseResult<T> close(std::chrono::duration<Rep, Period> timeout) {
    return ended(consumer_.close(timeout));
  }
  [[nodiscard]] Consumer<T>& consumer() noexcept { return consumer_; }

 private:
  class Next : private detail::Lending<T>::Borrower {
   public:
    explicit Next(std::shared_ptr<detail::Lending<T>> lending) : lending_(std::move(lending)) {}
    Next(const Next&) = delete;
    Next& operator=(const Next&) = delete;
    ~Next() {
      std::lock_guard lock(lending_->mutex);
      if (lending_->borrower == this) lending_->borrower = nullptr;
    }

    [[nodiscard]] bool await_ready() const noexcept { return false; }
    bool await_suspend(std::coroutine_handle<> handle) {
      const auto lending = lending_;  // once it is told, the coroutine may go on and be gone
      std::lock_guard lock(lending->mutex);
      if (lending->ended) return false;
      if (lending->borrower != nullptr)
        throw UsageError("AsyncWindows::next: another coroutine waits already; expected one");
      this->coroutine = handle;
      lending->borrower = this;
      lending->changed.notify_all();
      return true;
    }
    BorrowedWindow<T> await_resume() {
      if (this->loan == nullptr) return {};
      return {lending_, this->loan};
    }

   private:
    std::shared_ptr<detail::Lending<T>> lending_;
  };

  CloseResult<T> ended(CloseResult<T> result) {
    lending_->end();
    return result;
  }

  const std::shared_ptr<detail::Lending<T>> lending_ = std::make_shared<detail::Lending<T>>();
  Consumer<T> consumer_;
};

}  // namespace microbatch::inline v0_1
