#pragma once

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <new>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include "../concepts/lending.hpp"
#include "batch_body.hpp"
#include "durable_stream.hpp"
#include "durable_streaming.hpp"
#include "durable_window.hpp"

namespace microbatch::inline v0_1 {

/// Settings of an assistant.
struct AssistOptions {
  Duration time = std::chrono::seconds(10);  ///< an assistant that is silent so long has lost it
  Safety commit = Safety::written;           ///< as DeliveryOptions::commit
  std::function<Failure(const std::exception_ptr&)> classify{};  ///< as FailurePolicy::classify
  std::function<void(const BackgroundError&)> on_error{};

  void check() const {
    if (commit == Safety::queued)
      throw ConfigError("AssistOptions.commit must be Safety::written or Safety::synced");
    if (time < std::chrono::milliseconds(100))
      throw ConfigError(
          fmt::format("AssistOptions.time must be at least 100 ms, got {} ns", time.count()));
  }
};

/// What assist() returns: works on windows of a stream that another process consumes, one at a
/// time, until it is closed.
///
/// Threads: any, all functions. The destructor is close(): it waits for the callback, and asks its
/// window's stop_token to hurry.
class Assistant {
 public:
  Assistant(Assistant&&) noexcept = default;
  Assistant& operator=(Assistant&&) = delete;
  ~Assistant() {
    if (work_) close();
  }

  /// Borrows nothing more, and returns when the callback has.
  void close() { work_->close(); }
  /// Windows that it has committed.
  [[nodiscard]] std::uint64_t windows() const { return work_->windows(); }

  // For assist().
  class Work {
   public:
    virtual ~Work() = default;
    virtual void close() = 0;
    [[nodiscard]] virtual std::uint64_t windows() = 0;
  };
  explicit Assistant(std::unique_ptr<Work> work) : work_(std::move(work)) {}

 private:
  std::unique_ptr<Work> work_;
};

namespace detail {

/// The items of a loan, as a window wants them.
template <class T>
class LoanedItems {
 public:
  explicit LoanedItems(std::size_t n) : slots_(n) {}
  LoanedItems(const LoanedItems&) = delete;
  LoanedItems& operator=(const LoanedItems&) = delete;
  ~LoanedItems() { slots_.destroy(0, size_); }

  void add(T item, Position position) {
    slots_.set(slots_.origins, size_, Origin{.partition = 0, .offset = position});
    ::new (static_cast<void*>(slots_.at(size_))) T(std::move(item));
    ++size_;
  }
  [[nodiscard]] std::span<T> items() noexcept { return {slots_.at(0), size_}; }
  [[nodiscard]] const ItemSlots<T>& slots() const noexcept { return slots_; }

 private:
  ItemSlots<T> slots_;
  std::size_t size_ = 0;
};

/// One thread that works, and one that says that it still does.
template <class T, LendingStorage S, Codec<T> C, class F>
class AssistantWork final : public Assistant::Work {
 public:
  AssistantWork(std::shared_ptr<DurableCore<T, S, C>> core, F callback, AssistOptions options)
      : core_(std::move(core)),
        store_(*core_->storage),
        callback_(std::move(callback)),
        options_(std::move(options)),
        name_(lease_owner()),
        keeper_([this](const std::stop_token& stop) { keep(stop); }),
        worker_([this](const std::stop_token& stop) { run(stop); }) {}

  void close() override {
    worker_.request_stop();
    store_.wake(Bell::lent);
    if (worker_.joinable()) worker_.join();
    keeper_.request_stop();
    changed_.notify_all();
    if (keeper_.joinable()) keeper_.join();
  }
  std::uint64_t windows() override {
    std::lock_guard lock(mutex_);
    return windows_;
  }

 private:
  static constexpr Duration look_again = std::chrono::milliseconds(400);

  void run(const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      const std::uint64_t seen = store_.notice(Bell::lent);
      store_.ask_for_loans();
      std::optional<Loan> loan;
      tried([&] { loan = store_.borrow(name_, options_.time); });
      if (!loan) {
        store_.wait(Bell::lent, seen, later(steady_clock().now(), look_again));
        continue;
      }
      set_loan(*loan);
      tried([&] { work(*loan, stop); });
      set_loan({});
    }
  }

  void work(const Loan& loan, const std::stop_token& stop) {
    typename S::Transaction transaction;
    try {
      call(loan, transaction, stop);
    } catch (const StorageError&) {
      throw;  // its owner notices that nobody works on it
    } catch (...) {
      const auto error = std::current_exception();
      const FailurePolicy policy{.classify = options_.classify};
      return store_.fail_loan(loan, text_of(error), policy.classified(error));
    }
    store_.settle_loan(loan, transaction, options_.commit);
    std::lock_guard lock(mutex_);
    ++windows_;
  }

  void call(const Loan& loan, typename S::Transaction& transaction, const std::stop_token& stop) {
    std::size_t n = 0;
    for (const ItemRun& run : loan.runs) n += run.end - run.begin;
    LoanedItems<T> loaned(n);
    std::uint32_t earlier = 0;  // failed attempts
    std::vector<StoredBatch> batches;
    for (const ItemRun& run : loan.runs) {
      if (batches.empty() || batches.back().number != run.batch) {
        batches.clear();
        store_.load(run.batch, 1, batches);
      }
      if (batches.empty() || batches.front().number != run.batch || run.end > batches.front().items)
        throw LeaseLost("durable stream: what was borrowed is not pending any more");
      const BatchBody body(batches.front().body, batches.front().items);
      const auto& attempts = batches.front().attempts;
      for (std::uint32_t i = run.begin; i < run.end; ++i) {
        loaned.add(core_->codec.decode(body[i]), position_of(run.batch, i));
        if (!attempts.empty()) earlier = std::max<std::uint32_t>(earlier, attempts[i]);
      }
    }
    const TimePoint now = steady_clock().now();
    const WindowInfo info{
        .reason = Reason::custom, .opened_at = now, .closed_at = now, .oldest_at = now};
    std::vector<Rejection> rejections;
    Window<T> window(loaned.items(), info, 0, 1, rejections, stop, &loaned.slots(), 0);
    std::vector<bool> rejected;
    DurableWindow<T, S> durable(window, transaction, rejected, earlier);
    static_assert(std::is_void_v<decltype(call_durable<T, S>(callback_, durable))>,
                  "microbatch: an assistant's callback returns nothing; its results go into "
                  "window.transaction()");
    call_durable<T, S>(callback_, durable);
    // The window is not torn: its owner takes it apart until the item stands alone.
    if (!rejections.empty()) std::rethrow_exception(rejections.front().error);
  }

  void keep(const std::stop_token& stop) {
    std::unique_lock lock(mutex_);
    while (!stop.stop_requested()) {
      const auto idle = [&] { return stop.stop_requested() || loan_.id != 0; };
      changed_.wait(lock, idle);
      const Loan loan = loan_;
      const auto over = [&] { return stop.stop_requested() || loan_.id != loan.id; };
      while (!changed_.wait_for(lock, options_.time / 3, over)) {
        lock.unlock();
        tried([&] { store_.extend(loan, options_.time); });
        lock.lock();
      }
    }
  }
  void set_loan(const Loan& loan) {
    {
      std::lock_guard lock(mutex_);
      loan_ = loan;
    }
    changed_.notify_all();
  }

  template <class G>
  void tried(G&& g) noexcept {
    try {
      g();
    } catch (...) {
      const auto error = std::current_exception();
      if (!options_.on_error) return;
      try {
        options_.on_error({BackgroundError::Where::source, error, text_of(error)});
      } catch (...) {  // there is nobody left to tell
      }
    }
  }

  const std::shared_ptr<DurableCore<T, S, C>> core_;
  S& store_;
  F callback_;
  const AssistOptions options_;
  const std::string name_;
  std::mutex mutex_;
  std::condition_variable changed_;
  Loan loan_{};  // id 0: none
  std::uint64_t windows_ = 0;
  std::jthread keeper_;
  std::jthread worker_;
};

}  // namespace detail

/// Works on windows that the active consumer of this stream, in another process, lets others handle
/// (DeliveryOptions::lend). So slow callbacks spread over the processes of one machine. The
/// consumer forms the windows, and its failure policy judges the errors, which it gets as texts.
///
/// The callback is one for streaming() that returns nothing; a rejected item fails its window,
/// which is then taken apart. Order between windows: as far as the consumer has several in flight,
/// none. Errors: ConfigError; StorageError to on_error.
template <class T, LendingStorage S, Codec<T> C, class F>
[[nodiscard]] Assistant assist(DurableStream<T, S, C>& stream, F callback,
                               AssistOptions options = {}) {
  options.check();
  return Assistant(std::make_unique<detail::AssistantWork<T, S, C, F>>(
      detail::DurableCoreOf<T, S, C>::get(stream), std::move(callback), std::move(options)));
}

}  // namespace microbatch::inline v0_1
