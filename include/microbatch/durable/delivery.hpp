#pragma once

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "../streaming.hpp"
#include "loader.hpp"
#include "term.hpp"

namespace microbatch::inline v0_1::detail {

/// From the store to a core stream: takes the lease, loads what is pending, keeps the lease alive,
/// and begins anew when it was lost. One thread of its own; it sleeps while nothing happens.
///
/// Threads: any, all functions.
template <class T, Storage S, Codec<T> C>
class Delivery {
 public:
  using Core = DurableCore<T, S, C>;
  using TermOf = Term<T, S, C>;
  using Start = std::function<Consumer<T>(Stream<T>&, std::shared_ptr<TermOf>)>;

  /// What lives as long as a lease.
  struct Part {
    Part(const std::shared_ptr<Core>& core, const DeliveryOptions& options, const Start& start,
         std::uint32_t max_attempts, std::function<void(const std::exception_ptr&)> report)
        : term(std::make_shared<TermOf>(core->storage, core->codec, options.commit)),
          stream(StreamOptions<T>{.capacity = options.capacity}),
          loader(core, term, stream, max_attempts, std::move(report)),
          consumer(start(stream, term)) {}

    const std::shared_ptr<TermOf> term;
    Stream<T> stream;
    Loader<T, S, C> loader;  // has its lane before the emitter sees the first time pass
    Consumer<T> consumer;
  };

  /// `max_attempts`: how often an item may fail before it is handled alone.
  Delivery(std::shared_ptr<Core> core, const DeliveryOptions& options, std::uint32_t max_attempts,
           std::string owner, Start start, std::function<bool()> quiet,
           std::function<void(const BackgroundError&)> on_error)
      : core_(std::move(core)),
        store_(*core_->storage),
        options_(options),
        max_attempts_(max_attempts),
        owner_(std::move(owner)),
        start_(std::move(start)),
        quiet_(std::move(quiet)),
        on_error_(std::move(on_error)) {
    part_ = make_part();  // what cannot work is told here
    thread_ = std::jthread([this] { run(); });
  }
  Delivery(const Delivery&) = delete;
  Delivery& operator=(const Delivery&) = delete;

  [[nodiscard]] std::shared_ptr<Part> part() {
    std::lock_guard lock(mutex_);
    return part_;
  }
  [[nodiscard]] bool active() {
    std::lock_guard lock(mutex_);
    return active_;
  }
  /// Of the terms that have ended.
  [[nodiscard]] CloseResult<T> earlier() {
    std::lock_guard lock(mutex_);
    return {.delivered = earlier_.delivered,
            .dead_lettered = earlier_.dead_lettered,
            .abandoned = earlier_.abandoned};
  }

  /// Everything that was in the store before the call has been loaded; false at the deadline.
  bool load_until(std::int64_t head, TimePoint deadline) {
    std::unique_lock lock(mutex_);
    const std::uint64_t question = ++asked_;  // does it hold the lease still?
    store_.wake(Bell::appended);
    const auto loaded = [&] {
      return stopping_ || (active_ && answered_ >= question && next_ >= head);
    };
    if (deadline != never) return changed_.wait_until(lock, deadline, loaded);
    changed_.wait(lock, loaded);
    return true;
  }

  /// Loads no more. The lease is kept alive until finish().
  void stop_loading() {
    {
      std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    part()->stream.close();
    changed_.notify_all();
    store_.wake(Bell::appended);
  }
  /// Gives up the lease.
  void finish() {
    {
      std::lock_guard lock(mutex_);
      finished_ = true;
    }
    changed_.notify_all();
    store_.wake(Bell::appended);
    if (thread_.joinable()) thread_.join();
  }

 private:
  static constexpr std::size_t load_bytes = std::size_t{4} << 20;

  std::shared_ptr<Part> make_part() {
    auto part = std::make_shared<Part>(core_, options_, start_, max_attempts_,
                                       [this](const std::exception_ptr& error) { report(error); });
    part->term->on_lost([this] {
      changed_.notify_all();
      store_.wake(Bell::appended);
    });
    return part;
  }

  [[nodiscard]] bool stopping() {
    std::lock_guard lock(mutex_);
    return stopping_;
  }

  void run() {
    while (!stopping()) {
      const std::uint64_t question = asked();
      const Lease lease = acquired();
      if (lease.token == 0) {
        pause(options_.lease / 4);
        continue;
      }
      renew_at_ = later(steady_clock().now(), options_.lease / 3);
      part_->term->begin(lease.token);
      answer(question);
      set_active(true, lease.first);
      feed();
      keep_alive();
      set_active(false, 0);
      if (part_->term->lost())
        begin_anew();
      else
        tried([&] { store_.release(part_->term->token()); });
    }
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return finished_; });
  }

  /// Appends what is pending in the store, until it has to stop.
  void feed() {
    part_->loader.open();
    const auto go_on = [&] { return !stopping() && renew_if_due(); };
    std::vector<StoredBatch> batches;
    TimePoint drop_at{};
    while (!stopping()) {
      const std::uint64_t seen = store_.notice(Bell::appended);
      const std::uint64_t question = asked();
      if (!renew_if_due(question)) break;
      batches.clear();
      const bool fine = tried([&] {
        if (options_.drop.drops() && steady_clock().now() >= drop_at) {
          store_.drop(options_.drop, next_);
          drop_at = later(steady_clock().now(), std::chrono::seconds(1));
        }
        const std::int64_t head = store_.head();
        store_.load(next_, load_bytes, batches);
        if (batches.empty() && next_ < head) set_next(head);  // what was there has ended
        for (const StoredBatch& batch : batches) {
          if (!part_->loader.append(batch, part_->consumer, go_on)) return;
          set_next(batch.number + 1);
        }
      });
      if (!fine)
        pause(std::chrono::milliseconds(500));
      else if (batches.empty())
        store_.wait(Bell::appended, seen, renew_at_);
    }
  }

  /// While what is loaded is drained.
  void keep_alive() {
    std::unique_lock lock(mutex_);
    while (stopping_ && !finished_) {
      changed_.wait_until(lock, renew_at_, [&] { return finished_; });
      lock.unlock();
      const bool held = renew_if_due();
      lock.lock();
      if (!held) return;
    }
  }

  [[nodiscard]] std::uint64_t asked() {
    std::lock_guard lock(mutex_);
    return asked_;
  }
  void answer(std::uint64_t question) {
    std::lock_guard lock(mutex_);
    answered_ = question;
    changed_.notify_all();
  }

  /// A token of 0: somebody else has it.
  Lease acquired() {
    Lease lease;
    tried([&] { lease = store_.acquire(owner_, options_.lease).value_or(Lease{}); });
    return lease;
  }

  /// False: the lease is lost.
  bool renew_if_due(std::uint64_t question = 0) {
    if (part_->term->lost()) return false;
    if (steady_clock().now() < renew_at_ && question <= answered_) return true;
    try {
      store_.renew(part_->term->token(), options_.lease);
      renew_at_ = later(steady_clock().now(), options_.lease / 3);
      if (question > answered_) answer(question);
    } catch (const LeaseLost&) {
      part_->term->lose();
      return false;
    } catch (...) {  // the store does not answer; whoever can write may take over
      report(std::current_exception());
      renew_at_ = later(steady_clock().now(), std::chrono::milliseconds(100));
    }
    return true;
  }

  void begin_anew() {
    report(std::make_exception_ptr(LeaseLost("durable stream '" + std::string(store_.name()) +
                                             "': the lease was lost; this consumer waits for it")));
    const CloseResult<T> ended = part_->consumer.stop();
    while (!quiet_()) std::this_thread::sleep_for(std::chrono::milliseconds(10));
    auto next = stopping() ? nullptr : make_part();
    std::lock_guard lock(mutex_);
    earlier_.delivered += ended.delivered;
    earlier_.dead_lettered += ended.dead_lettered;
    earlier_.abandoned += ended.abandoned;
    if (next) part_ = std::move(next);
  }

  void set_active(bool active, std::int64_t next) {
    std::lock_guard lock(mutex_);
    active_ = active;
    next_ = next;
    changed_.notify_all();
  }
  void set_next(std::int64_t next) {
    std::lock_guard lock(mutex_);
    next_ = next;
    changed_.notify_all();
  }
  void pause(Duration time) {
    std::unique_lock lock(mutex_);
    changed_.wait_until(lock, later(steady_clock().now(), time),
                        [&] { return stopping_ || part_->term->lost(); });
  }

  template <class F>
  bool tried(F&& f) {
    try {
      f();
      return true;
    } catch (const LeaseLost&) {
      part_->term->lose();
    } catch (...) {
      report(std::current_exception());
    }
    return false;
  }
  void report(const std::exception_ptr& error) noexcept {
    if (!on_error_) return;
    try {
      on_error_({BackgroundError::Where::source, error, text_of(error)});
    } catch (...) {  // there is nobody left to tell
    }
  }

  const std::shared_ptr<Core> core_;
  S& store_;
  const DeliveryOptions options_;
  const std::uint32_t max_attempts_;
  const std::string owner_;
  const Start start_;
  const std::function<bool()> quiet_;
  const std::function<void(const BackgroundError&)> on_error_;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::shared_ptr<Part> part_;  // replaced by the thread alone
  bool active_ = false;
  bool stopping_ = false;
  bool finished_ = false;
  std::int64_t next_ = 0;       // the batch to be loaded next; the thread's to change
  std::uint64_t asked_ = 0;     // flushes that want to know whether the lease is held
  std::uint64_t answered_ = 0;  // the thread's to change
  CloseResult<T> earlier_;
  TimePoint renew_at_{};  // the thread's
  std::jthread thread_;
};

}  // namespace microbatch::inline v0_1::detail
