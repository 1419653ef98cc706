#pragma once

#include <algorithm>
#include <chrono>
#include <exception>
#include <iterator>
#include <memory>
#include <span>
#include <stop_token>
#include <thread>
#include <utility>

#include "concepts/source.hpp"
#include "delivery/commit_tracker.hpp"
#include "streaming.hpp"

namespace microbatch::inline v0_1 {

namespace detail {

/// Where a feed leads, if not straight into a stream: through stages that change the items first.
template <class T>
struct Intake {
  virtual ~Intake() = default;
  /// `origin` is null where the source gave none.
  virtual AppendResult put(T&& item, const Origin* origin) = 0;
  virtual void mark(const Mark& mark) = 0;
};

/// What a source may ask of the pipeline behind its feed. Both answer false where it took longer.
struct Pipeline {
  virtual ~Pipeline() = default;
  virtual bool flush(Duration timeout) = 0;
  virtual bool drain(Duration timeout) = 0;
};

}  // namespace detail

/// Where a Source puts its items: a producer of the pipeline's stream. It waits while the stream is
/// full, so backpressure reaches the source by itself.
///
/// A source that may not stand still for long, because a server wants to hear from it, uses the
/// calls with a timeout and does its duties between them.
///
/// Threads: the source's; one at a time.
template <class T>
class Feed {
 public:
  /// `accepted`, or `closed` when there is no point in going on.
  AppendResult append(T item) {
    if (intake_ != nullptr) return intake_->put(std::move(item), nullptr);
    return direct_->producer.append(std::move(item));
  }

  /// With where it was read: the source is told when it has committed (CommittableSource).
  AppendResult append(T item, Origin origin) { return put(std::move(item), origin, never); }

  /// The same, waiting at most that long for room: `timeout` leaves the item with the caller.
  /// (Where stages come before the stream, it waits as append does.)
  template <class Rep, class Period>
  [[nodiscard]] AppendResult append_for(T&& item, Origin origin,
                                        std::chrono::duration<Rep, Period> timeout) {
    return put(std::move(item), origin,
               detail::later(steady_clock().now(), detail::to_duration(timeout)));
  }

  /// Many at once, in their order, each with its origin: less work for each. Waits at most that
  /// long for room for all of them; those that were not accepted, from the first such on, stay with
  /// the caller.
  template <class Rep, class Period>
  [[nodiscard]] RangeResult append_range_for(std::span<T> items, std::span<const Origin> origins,
                                             std::chrono::duration<Rep, Period> timeout) {
    const TimePoint until = detail::later(steady_clock().now(), detail::to_duration(timeout));
    if (intake_ == nullptr) return put_range(items, origins, until);
    for (std::size_t i = 0; i < items.size(); ++i) {
      const AppendResult result = intake_->put(std::move(items[i]), &origins[i]);
      if (result != AppendResult::accepted && result != AppendResult::dropped) return {result, i};
      if (i % 16 == 0 && i + 1 < items.size() && steady_clock().now() >= until)
        return {AppendResult::timeout, i + 1};  // the source has other things to see to
    }
    return {AppendResult::accepted, items.size()};
  }

  /// As append(), but waits for room only until told to stop: then it answers `closed`, and the
  /// item stays with the caller. So a source ends in time also where a callback never returns.
  AppendResult append(T&& item, const std::stop_token& stop) {
    return append_until_stopped(stop, [&](Duration slice) {
      return intake_ != nullptr ? intake_->put(std::move(item), nullptr)
                                : direct_->producer.append_for(std::move(item), slice);
    });
  }
  AppendResult append(T&& item, Origin origin, const std::stop_token& stop) {
    return append_until_stopped(
        stop, [&](Duration slice) { return append_for(std::move(item), origin, slice); });
  }

  /// Nothing more comes from this partition. What is in ends as usual, and commit() hears of it.
  void end_partition(std::uint32_t partition) {
    mark({.kind = Mark::Kind::ended, .partition = partition});
    if (direct_) direct_->tracker->end(partition);
  }

  /// Lets a partial window go, and waits at most that long until everything that was appended so
  /// far has ended and commit() has heard of it; false if that took longer.
  template <class Rep, class Period>
  [[nodiscard]] bool flush(std::chrono::duration<Rep, Period> timeout) {
    return !direct_ || direct_->pipeline == nullptr ||
           direct_->pipeline->flush(detail::to_duration(timeout));
  }
  /// Nothing more comes at all. Waits at most that long; true when everything has ended and
  /// commit() has heard of it, or the pipeline's drain_timeout is over. A source that must stay in
  /// touch with its server calls it over and over before run() returns; others need not.
  template <class Rep, class Period>
  [[nodiscard]] bool drain(std::chrono::duration<Rep, Period> timeout) {
    return !direct_ || direct_->pipeline == nullptr ||
           direct_->pipeline->drain(detail::to_duration(timeout));
  }

  /// In band, for windows over event time: nothing more comes of this partition for now, so the
  /// others need not wait for it; its next item ends that.
  void mark_idle(std::uint32_t partition = 0) {
    mark({.kind = Mark::Kind::idle, .partition = partition});
  }
  /// In band: everything of this partition that happened before t has come. A time before 1970 or
  /// after 2116 says nothing.
  void mark_time(EventTime t, std::uint32_t partition = 0) {
    mark({.kind = Mark::Kind::time, .partition = partition, .time = t});
  }

  /// In band: this partition will bring items, perhaps older than those of others that come first.
  /// Windows wait for its first one, however long that takes, or until it is marked idle.
  void mark_awaited(std::uint32_t partition) {
    mark({.kind = Mark::Kind::awaited, .partition = partition});
  }

  /// For run() and for tests of sources.
  Feed(Stream<T>& stream, std::shared_ptr<detail::CommitTracker> tracker,
       detail::Pipeline* pipeline = nullptr)
      : direct_(new Direct{stream.producer(), std::move(tracker), pipeline}) {}
  explicit Feed(detail::Intake<T>& intake) noexcept : intake_(&intake) {}

 private:
  struct Direct {
    Producer<T> producer;
    std::shared_ptr<detail::CommitTracker> tracker;
    detail::Pipeline* pipeline;
  };

  template <class Try>
  AppendResult append_until_stopped(const std::stop_token& stop, Try try_for) {
    constexpr Duration slice = std::chrono::milliseconds(50);
    for (;;) {
      const AppendResult result = try_for(slice);
      if (result != AppendResult::timeout && result != AppendResult::full) return result;
      if (stop.stop_requested()) return AppendResult::closed;
      if (result == AppendResult::full) std::this_thread::sleep_for(slice / 10);  // it did not wait
    }
  }

  AppendResult put(T&& item, Origin origin, TimePoint until) {
    if (intake_ != nullptr) return intake_->put(std::move(item), &origin);
    Producer<T>& producer = direct_->producer;
    detail::CommitTracker& tracker = *direct_->tracker;
    tracker.expect(origin);
    AppendResult result = AppendResult::closed;
    try {
      result = producer.append_from(std::move(item), origin, until);
    } catch (...) {
      tracker.forget(origin);
      throw;
    }
    if (result == AppendResult::dropped)
      tracker.done(origin);  // it ended at once
    else if (result != AppendResult::accepted)
      tracker.forget(origin);
    return result;
  }

  RangeResult put_range(std::span<T> items, std::span<const Origin> origins, TimePoint until) {
    Producer<T>& producer = direct_->producer;
    detail::CommitTracker& tracker = *direct_->tracker;
    tracker.expect(origins);
    std::move_iterator<T*> next(items.data());
    const auto accepted = [&] { return static_cast<std::size_t>(next.base() - items.data()); };
    AppendResult result = AppendResult::accepted;
    try {
      while (result == AppendResult::accepted && accepted() < items.size()) {
        const std::size_t i = accepted();
        if (producer.append_run_from(next, &origins[i], items.size() - i) > 0) continue;
        result = producer.append_from(*next, origins[i], until);
        if (result == AppendResult::dropped) {
          tracker.done(origins[i]);  // it ended at once
          result = AppendResult::accepted;
        }
        if (result == AppendResult::accepted) ++next;
      }
    } catch (...) {
      tracker.forget(origins.subspan(accepted()));
      throw;
    }
    tracker.forget(origins.subspan(accepted()));
    return {.result = result, .accepted = accepted()};
  }

  void mark(const Mark& mark) {
    if (intake_ != nullptr) return intake_->mark(mark);
    direct_->producer.mark(mark);
  }

  std::unique_ptr<Direct> direct_;  // into the stream, or
  detail::Intake<T>* intake_ = nullptr;
};

/// Settings of run(): the stream's, the consumer's, and how to stop it from outside.
template <class T, class R>
struct RunOptions {
  StreamOptions<T> stream{};
  ConsumerOptions<T, R> consumer{};  ///< its sink is run()'s own
  std::stop_token stop{};            ///< asks the source to end; what is in is drained
  Duration drain_timeout =
      Duration::max();  ///< from the source's end; then the rest is handed back
};

/// How a pipeline ended.
template <class T>
struct RunResult {
  CloseResult<T> closed;
  Stats stats;
};

namespace detail {

/// A pipeline's end: draining it, in one go or in steps, within the time that it has.
template <class T>
class Drain final : public Pipeline {
 public:
  Drain(Consumer<T>& consumer, Duration timeout) : consumer_(consumer), timeout_(timeout) {}

  bool flush(Duration timeout) override { return consumer_.flush(timeout); }
  bool drain(Duration timeout) override {
    begin();
    const TimePoint until = std::min(until_, later(steady_clock().now(), timeout));
    return EngineOf<T>::get(consumer_).drain(until, EngineOf<T>::drive(consumer_)) ||
           steady_clock().now() >= until_;
  }
  CloseResult<T> close() {
    begin();
    if (until_ == never) return consumer_.close();
    return consumer_.close(std::max(Duration::zero(), until_ - steady_clock().now()));
  }

 private:
  void begin() {
    if (std::exchange(begun_, true)) return;
    until_ = later(steady_clock().now(), timeout_);
    if (until_ == never) EngineOf<T>::get(consumer_).begin_drain();
  }

  Consumer<T>& consumer_;
  const Duration timeout_;
  TimePoint until_ = never;
  bool begun_ = false;
};

}  // namespace detail

/// No sink: the callback keeps its results to itself.
struct NoSink {};

/// The whole pipeline in one call: the source's items through the emitter to the callback, its
/// results to the sink, commits back to the source. Returns when the source has ended and
/// everything is drained (or drain_timeout is over: closed.timed_out). The source runs on the
/// calling thread.
///
/// Errors: what the source throws, after everything it had appended was drained.
template <class S, class E, class C, class Out = NoSink, class T = typename S::value_type>
RunResult<T> run(S& source, E emitter, C callback, Out sink = {},
                 std::type_identity_t<RunOptions<T, callback_result_t<T, C>>> options = {}) {
  static_assert(Source<S, T>,
                "microbatch: a source needs `using value_type` and `void run(Feed<value_type>&, "
                "std::stop_token)`");
  Stream<T> stream(std::move(options.stream));
  auto tracker = std::make_shared<detail::CommitTracker>();
  if constexpr (!std::same_as<Out, NoSink>) options.consumer.sink = std::move(sink);
  auto& core = *detail::CoreOf<T>::get(stream);
  if constexpr (CommittableSource<S, T>) {
    core.settlement.track(tracker, [&source](const Origin& last) { source.commit(last); });
  }
  Consumer<T> consumer =
      streaming(stream, std::move(emitter), std::move(callback), std::move(options.consumer));
  detail::Drain<T> drain(consumer, options.drain_timeout);
  std::exception_ptr failure;
  try {
    Feed<T> feed(stream, tracker, &drain);
    source.run(feed, options.stop);
  } catch (...) {
    failure = std::current_exception();
  }
  RunResult<T> result;
  result.closed = drain.close();
  result.stats = consumer.stats();
  if (failure) std::rethrow_exception(failure);
  return result;
}

template <class S, class E, class C, class Out = NoSink>
auto run(S&& source, E emitter, C callback, Out sink = {},
         std::type_identity_t<
             RunOptions<typename S::value_type, callback_result_t<typename S::value_type, C>>>
             options = {})
  requires(!std::is_lvalue_reference_v<S>)
{
  S held = std::move(source);
  return run(held, std::move(emitter), std::move(callback), std::move(sink), std::move(options));
}

}  // namespace microbatch::inline v0_1
