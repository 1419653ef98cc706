#pragma once

#include <concepts>
#include <cstddef>
#include <memory>
#include <ranges>
#include <utility>

#include "core/acknowledgement.hpp"
#include "core/item.hpp"
#include "core/results.hpp"
#include "core/stats.hpp"
#include "stream_core.hpp"
#include "stream_options.hpp"

namespace microbatch::inline v0_1 {

namespace detail {

/// The appends that Stream and Producer have in common. Door::enter(f) calls f(core, lane) with a
/// lane that is the caller's own.
template <class T, class Door>
class Appends {
 public:
  /// Full: waits, drops or refuses as StreamOptions::overflow says.
  AppendResult append(T&& item) { return put(std::move(item), Wait::as_configured, never); }
  AppendResult append(const T& item)
    requires std::copy_constructible<T>
  {
    return put(item, Wait::as_configured, never);
  }

  /// Never waits. Under Overflow::block a full stream answers `full`.
  [[nodiscard]] AppendResult try_append(T&& item) {
    return put(std::move(item), Wait::never, never);
  }
  [[nodiscard]] AppendResult try_append(const T& item)
    requires std::copy_constructible<T>
  {
    return put(item, Wait::never, never);
  }

  /// Waits at most that long (on the steady clock, whatever clock the stream has).
  template <class Rep, class Period>
  [[nodiscard]] AppendResult append_for(T&& item, std::chrono::duration<Rep, Period> timeout) {
    return put(std::move(item), Wait::as_configured, deadline(timeout));
  }
  template <class Rep, class Period>
    requires std::copy_constructible<T>
  [[nodiscard]] AppendResult append_for(const T& item, std::chrono::duration<Rep, Period> timeout) {
    return put(item, Wait::as_configured, deadline(timeout));
  }

  /// The items of a range, in order, until one is not taken; says how many were. Elements are
  /// copied, or moved where the range yields rvalues (std::views::as_rvalue, std::move_iterator).
  /// If making one throws, those before it have been accepted.
  template <std::ranges::input_range R>
    requires std::constructible_from<T, std::ranges::range_reference_t<R>>
  [[nodiscard]] RangeResult append_range(R&& range) {
    return door().enter([&](StreamCore<T>& core, Lane<T>& lane) {
      return core.admission.append_range(lane, std::ranges::begin(range), std::ranges::end(range));
    });
  }

  /// Like append; the answer is ready when the item is settled.
  Acknowledgement append(T&& item, AckTag) { return put_acknowledged(putting(std::move(item))); }
  Acknowledgement append(const T& item, AckTag)
    requires std::copy_constructible<T>
  {
    return put_acknowledged(putting(item));
  }

  /// Like append; f(std::exception_ptr) is called once when the item is settled, null for
  /// delivered. It runs on the thread that settles, and must not throw. Not called when the item is
  /// not accepted.
  template <std::invocable<std::exception_ptr> F>
  AppendResult append(T&& item, F f) {
    return put_with_completion(std::move(f), putting(std::move(item)));
  }
  template <std::invocable<std::exception_ptr> F>
    requires std::copy_constructible<T>
  AppendResult append(const T& item, F f) {
    return put_with_completion(std::move(f), putting(item));
  }

 private:
  using Wait = typename Admission<T>::Wait;

  Door& door() noexcept { return static_cast<Door&>(*this); }

  template <class Rep, class Period>
  static TimePoint deadline(std::chrono::duration<Rep, Period> timeout) {
    return later(steady_clock().now(), to_duration(timeout));
  }

  template <class U>
  AppendResult put(U&& item, Wait wait, TimePoint until) {
    return door().enter([&](StreamCore<T>& core, Lane<T>& lane) {
      if (lane.push_short(std::forward<U>(item))) [[likely]]
        return AppendResult::accepted;
      return put_at_length(core, lane, std::forward<U>(item), wait, until);
    });
  }
  /// Apart, so that what is above is worth inlining.
  template <class U>
  [[gnu::noinline]] static AppendResult put_at_length(StreamCore<T>& core, Lane<T>& lane, U&& item,
                                                      Wait wait, TimePoint until) {
    return core.admission.append(lane, std::forward<U>(item), wait, until);
  }

  /// For put_acknowledged() and its like, which see to the item's side of the state.
  template <class U>
  auto putting(U&& item) {
    return [this, &item](AckState* state) {
      return door().enter([&](StreamCore<T>& core, Lane<T>& lane) {
        return core.admission.append(lane, std::forward<U>(item), Wait::as_configured, never,
                                     {.ack = state});
      });
    };
  }
};

/// A lane for one call: where a thread-local destructor appends after the thread's own lanes are
/// gone.
template <class T>
class BorrowedLane {
 public:
  explicit BorrowedLane(StreamCore<T>& core) : core_(core), lane_(core.lanes.acquire()) {}
  BorrowedLane(const BorrowedLane&) = delete;
  BorrowedLane& operator=(const BorrowedLane&) = delete;
  ~BorrowedLane() { core_.lanes.release(lane_); }
  [[nodiscard]] Lane<T>& operator*() const noexcept { return lane_; }

 private:
  StreamCore<T>& core_;
  Lane<T>& lane_;
};

/// What a call on a moved-from Stream or Producer answers.
struct MovedFrom {
  operator AppendResult() const noexcept { return AppendResult::closed; }             // NOLINT
  operator RangeResult() const noexcept { return {.result = AppendResult::closed}; }  // NOLINT
};

template <class T>
struct CoreOf;      // how the assembly reaches a stream's core
struct AppendFrom;  // how a flow appends with an origin

}  // namespace detail

template <class T>
class Stream;
template <class T>
class Feed;

/// A producer's own lane of a stream: the shortest append. It may outlive the Stream; then every
/// append answers `closed`.
///
/// Use it where one thread appends a lot. Threads: one at a time per Producer.
template <class T>
class Producer : public detail::Appends<T, Producer<T>> {
 public:
  Producer(Producer&& other) noexcept
      : core_(std::move(other.core_)), lane_(std::exchange(other.lane_, nullptr)) {}
  Producer& operator=(Producer&& other) noexcept {
    std::swap(core_, other.core_);
    std::swap(lane_, other.lane_);
    return *this;
  }
  ~Producer() {
    if (core_ != nullptr) core_->release_lane(lane_);  // moved-from: neither is there
  }

 private:
  friend class Stream<T>;
  friend class detail::Appends<T, Producer<T>>;

  explicit Producer(std::shared_ptr<detail::StreamCore<T>> core)
      : core_(std::move(core)), lane_(&core_->lanes.acquire()) {}

  friend class Feed<T>;
  friend struct detail::AppendFrom;

  /// For sources.
  void mark(const Mark& mark) {
    if (lane_ == nullptr) return;
    core_->lanes.put_mark(*lane_, mark);
    core_->wake.ring_always();
  }
  AppendResult append_from(T&& item, const Origin& origin, TimePoint until = never) {
    return enter([&](detail::StreamCore<T>& core, detail::Lane<T>& lane) {
      return core.admission.append(lane, std::move(item), detail::Admission<T>::Wait::as_configured,
                                   until, {.origin = &origin});
    });
  }
  /// As many of n items, taken from `first`, as there is room for at once. None says nothing:
  /// append_from() does what is to be done then.
  std::size_t append_run_from(std::move_iterator<T*>& first, const Origin* origins, std::size_t n) {
    if (lane_ == nullptr || core_->forked() || core_->weighs()) return 0;
    return lane_->push_run(first, n, origins);
  }

  template <class F>
  auto enter(F&& f)
      -> decltype(f(std::declval<detail::StreamCore<T>&>(), std::declval<detail::Lane<T>&>())) {
    if (lane_ == nullptr) [[unlikely]]
      return detail::MovedFrom{};
    return f(*core_, *lane_);
  }

  std::shared_ptr<detail::StreamCore<T>> core_;
  detail::Lane<T>* lane_;
};

/// The door: where producers append, bounded by its capacity.
///
/// Use when items are produced one at a time by any number of threads and wanted by the batch.
/// Not when every item must be handled at once, by itself: that is a task queue.
/// Threads: any, all functions. Each thread gets a lane of its own at its first append.
/// Guarantees: what is accepted ends exactly once (see Stats); items of one thread keep their
/// order. Errors: ConfigError at construction. append() tells in its result; it throws only what
/// the item's own constructor or the weight function throws, and then the item was not taken.
///
///     microbatch::Stream<std::string> stream({.capacity = 65'536});
///     auto consumer = microbatch::streaming(stream, microbatch::CountWindow{2}, print);
///     stream.append("hello");
template <class T>
class Stream : public detail::Appends<T, Stream<T>> {
 public:
  using value_type = T;

  explicit Stream(StreamOptions<T> options = {})
      : core_((detail::require_item<T>(),
               std::make_shared<detail::StreamCore<T>>(std::move(options)))),
        id_(core_->id) {}
  Stream(Stream&& other) noexcept
      : core_(std::move(other.core_)), id_(std::exchange(other.id_, 0)) {}
  Stream& operator=(Stream&& other) noexcept {
    std::swap(core_, other.core_);
    std::swap(id_, other.id_);
    return *this;
  }
  /// Closes, and waits for calls that are inside. A consumer goes on until everything has ended;
  /// without one, what is left is dropped and counted (DropCause::unclaimed).
  ~Stream() {
    if (core_ && !core_->forked()) core_->end_of_stream();
  }

  /// A lane of its own, for a thread that appends a lot.
  [[nodiscard]] Producer<T> producer() {
    if (!core_) throw UsageError("Stream::producer: the stream was moved from");
    detail::require_not_forked(*core_, "Stream::producer");
    return Producer<T>(core_);
  }

  /// No more input; what is in will still be emitted. May be called again.
  void close() {
    if (core_ && !core_->forked()) core_->close_input();
  }
  [[nodiscard]] bool closed() const noexcept { return !core_ || core_->closed(); }

  /// UsageError in a forked child.
  [[nodiscard]] Stats stats() const {
    if (core_) detail::require_not_forked(*core_, "Stream::stats");
    return core_ ? core_->stats() : Stats{};
  }
  [[nodiscard]] std::string_view name() const noexcept {
    return core_ ? std::string_view(core_->options().name) : std::string_view();
  }
  [[nodiscard]] std::size_t capacity() const noexcept {
    return core_ ? core_->options().capacity : 0;
  }

 private:
  friend struct detail::CoreOf<T>;
  friend class detail::Appends<T, Stream<T>>;

  template <class F>
  auto enter(F&& f)
      -> decltype(f(std::declval<detail::StreamCore<T>&>(), std::declval<detail::Lane<T>&>())) {
    if (void* lane = detail::ThreadLanes::find(id_, core_)) [[likely]]
      return f(*core_, *static_cast<detail::Lane<T>*>(lane));
    return enter_without_lane(f);
  }
  template <class F>
  [[gnu::noinline]] auto enter_without_lane(F& f)
      -> decltype(f(std::declval<detail::StreamCore<T>&>(), std::declval<detail::Lane<T>&>())) {
    if (!core_) return detail::MovedFrom{};
    const detail::BorrowedLane<T> lane(*core_);
    return f(*core_, *lane);
  }

  std::shared_ptr<detail::StreamCore<T>> core_;
  std::uint64_t id_;
};

namespace detail {

template <class T>
struct CoreOf {
  [[nodiscard]] static const std::shared_ptr<StreamCore<T>>& get(const Stream<T>& stream) {
    if (!stream.core_) throw UsageError("streaming: the stream was moved from");
    return stream.core_;
  }
};

}  // namespace detail
}  // namespace microbatch::inline v0_1
