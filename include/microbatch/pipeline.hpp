#pragma once

#include <exception>
#include <memory>
#include <stop_token>
#include <utility>

#include "concepts/source.hpp"
#include "delivery/commit_tracker.hpp"
#include "streaming.hpp"

namespace microbatch {

namespace detail {

/// Where a feed leads, if not straight into a stream: through stages that change the items first.
template <class T>
struct Intake {
  virtual ~Intake() = default;
  /// `origin` is null where the source gave none.
  virtual AppendResult put(T&& item, const Origin* origin) = 0;
  virtual void mark(const Mark& mark) = 0;
};

}  // namespace detail

/// Where a Source puts its items: a producer of the pipeline's stream. It waits while the stream is
/// full, so backpressure reaches the source by itself.
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
  AppendResult append(T item, Origin origin) {
    if (intake_ != nullptr) return intake_->put(std::move(item), &origin);
    direct_->tracker->expect(origin);
    AppendResult result = AppendResult::closed;
    try {
      result = direct_->producer.append_from(std::move(item), origin);
    } catch (...) {
      direct_->tracker->forget(origin);
      throw;
    }
    if (result == AppendResult::dropped)
      direct_->tracker->done(origin);  // it ended at once
    else if (result != AppendResult::accepted)
      direct_->tracker->forget(origin);
    return result;
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

  /// For run() and for tests of sources.
  Feed(Stream<T>& stream, std::shared_ptr<detail::CommitTracker> tracker)
      : direct_(new Direct{stream.producer(), std::move(tracker)}) {}
  explicit Feed(detail::Intake<T>& intake) noexcept : intake_(&intake) {}

 private:
  struct Direct {
    Producer<T> producer;
    std::shared_ptr<detail::CommitTracker> tracker;
  };

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
};

/// How a pipeline ended.
template <class T>
struct RunResult {
  CloseResult<T> closed;
  Stats stats;
};

/// No sink: the callback keeps its results to itself.
struct NoSink {};

/// The whole pipeline in one call: the source's items through the emitter to the callback, its
/// results to the sink, commits back to the source. Returns when the source has ended and
/// everything is drained. The source runs on the calling thread.
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
  std::exception_ptr failure;
  try {
    Feed<T> feed(stream, tracker);
    source.run(feed, options.stop);
  } catch (...) {
    failure = std::current_exception();
  }
  RunResult<T> result{.closed = consumer.close(), .stats = consumer.stats()};
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

}  // namespace microbatch
