#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>

#include "committed.hpp"
#include "delivery.hpp"

namespace microbatch::inline v0_1 {

/// What streaming() of a durable stream returns: the running way from the store to the callback,
/// while this consumer holds the stream's lease; otherwise it waits for it.
///
/// Threads: any, all functions. The destructor is close(), and waits without bound.
template <class T>
class DurableConsumer {
 public:
  DurableConsumer(DurableConsumer&&) noexcept = default;
  DurableConsumer& operator=(DurableConsumer&&) = delete;
  ~DurableConsumer() {
    if (way_) (void)close();
  }

  /// It holds the lease: this consumer is the one that gets the items.
  [[nodiscard]] bool active() const { return way_->active(); }
  /// Returns when everything that was in the store before the call has settled. A consumer that
  /// waits for the lease waits for it here, too.
  void flush() { (void)way_->flush(never); }
  /// At most that long; false if it took longer.
  template <class Rep, class Period>
  [[nodiscard]] bool flush(std::chrono::duration<Rep, Period> timeout) {
    return way_->flush(detail::later(steady_clock().now(), detail::to_duration(timeout)));
  }
  /// Finishes what is loaded; the rest stays in the store, and nothing is handed back.
  CloseResult<T> close() { return way_->close(never); }
  /// At most that long. What is not delivered by then stays in the store.
  template <class Rep, class Period>
  CloseResult<T> close(std::chrono::duration<Rep, Period> timeout) {
    return way_->close(detail::later(steady_clock().now(), detail::to_duration(timeout)));
  }
  /// Gives up at once: waits for no callback; everything stays in the store.
  CloseResult<T> stop() { return way_->close(TimePoint::min()); }
  /// Of what it has loaded since it got the lease.
  [[nodiscard]] Stats stats() const { return way_->stats(); }

  // For streaming().
  class Way {
   public:
    virtual ~Way() = default;
    virtual bool active() = 0;
    virtual bool flush(TimePoint deadline) = 0;
    virtual CloseResult<T> close(TimePoint deadline) = 0;
    virtual Stats stats() = 0;
  };
  explicit DurableConsumer(std::unique_ptr<Way> way) : way_(std::move(way)) {}

 private:
  std::unique_ptr<Way> way_;
};

namespace detail {

[[nodiscard]] std::string lease_owner();

template <class T, Storage S, Codec<T> C>
class DurableWay final : public DurableConsumer<T>::Way {
 public:
  using D = Delivery<T, S, C>;

  DurableWay(std::shared_ptr<DurableCore<T, S, C>> core, const DeliveryOptions& options,
             std::uint32_t max_attempts, typename D::Start start, std::function<bool()> quiet,
             std::function<void(const BackgroundError&)> on_error)
      : core_(std::move(core)),
        delivery_(core_, options, max_attempts, lease_owner(), std::move(start), std::move(quiet),
                  std::move(on_error)) {}

  bool active() override { return delivery_.active(); }

  bool flush(TimePoint deadline) override {
    if (!flush_within(core_->writer, deadline)) return false;
    return delivery_.load_until(core_->storage->head(), deadline) &&
           flush_within(delivery_.part()->consumer, deadline);
  }

  CloseResult<T> close(TimePoint deadline) override {
    delivery_.stop_loading();
    const auto part = delivery_.part();
    CloseResult<T> result;
    if (deadline == TimePoint::min())
      result = part->consumer.stop();
    else if (deadline == never)
      result = part->consumer.close();
    else
      result = part->consumer.close(std::max(deadline - steady_clock().now(), Duration::zero()));
    delivery_.finish();
    result.handed_back.clear();  // they are in the store
    const CloseResult<T> earlier = delivery_.earlier();
    result.delivered += earlier.delivered;
    result.dead_lettered += earlier.dead_lettered;
    result.abandoned += earlier.abandoned;
    return result;
  }

  Stats stats() override { return delivery_.part()->consumer.stats(); }

 private:
  template <class Flushable>
  static bool flush_within(Flushable& consumer, TimePoint deadline) {
    if (deadline == never) {
      consumer.flush();
      return true;
    }
    return consumer.flush(std::max(deadline - steady_clock().now(), Duration::zero()));
  }

  std::shared_ptr<DurableCore<T, S, C>> core_;
  D delivery_;
};

template <class F>
struct SharedCallback {
  explicit SharedCallback(F callback) : f(std::move(callback)) {}
  F f;
  std::atomic<int> running{0};

  template <class... A>
    requires std::invocable<F&, A...>
  decltype(auto) operator()(A&&... arguments) {
    const Running now(running);
    return std::invoke(f, std::forward<A>(arguments)...);
  }

 private:
  struct Running {
    explicit Running(std::atomic<int>& n) : count(n) { count.fetch_add(1); }
    ~Running() { count.fetch_sub(1); }
    std::atomic<int>& count;
  };
};

}  // namespace detail

/// Begins to hand windows of what is in the store to the callback, while this consumer holds the
/// stream's lease: as streaming() of a Stream, and what was in flight when a consumer died is
/// pending again.
///
/// The callback takes DurableWindow<T, S>& (`auto& window`), std::span<T> or std::span<const T>.
/// A window is committed when the callback has returned and its result is in the sink; where the
/// commit fails, that is a failed attempt. An emitter is copied for each term. Dead letters go to
/// the store, and then to the receiver in the options.
/// Errors: ConfigError, UsageError; StorageError to on_error.
template <class T, Storage S, Codec<T> C, class E, class F>
[[nodiscard]] DurableConsumer<T> streaming(
    DurableStream<T, S, C>& stream, E emitter, F callback,
    std::type_identity_t<ConsumerOptions<T, durable_result_t<T, S, F>>> options = {},
    DeliveryOptions delivery = {}) {
  static_assert(std::copy_constructible<E>,
                "microbatch: the emitter of a durable stream must be copyable: it begins anew when "
                "the lease was lost");
  delivery.check();
  if (delivery.lend && (!LendingStorage<S> || !std::is_void_v<detail::DurableReturned<T, S, F>> ||
                        options.order == Order::committed_in_order))
    throw ConfigError(
        "DeliveryOptions.lend needs a store that lends (sqlite), a callback that returns nothing, "
        "and an order other than committed_in_order");
  using Shared = detail::SharedCallback<F>;
  using R = detail::DurableReturned<T, S, F>;
  using TermOf = detail::Term<T, S, C>;
  auto shared = std::make_shared<Shared>(std::move(callback));
  const auto on_error = options.on_error;
  const std::uint32_t max_attempts = options.on_failure.max_attempts;
  auto start = [shared, emitter = std::move(emitter), options = std::move(options), delivery](
                   Stream<T>& loaded, std::shared_ptr<TermOf> term) {
    const bool commit_later =
        static_cast<bool>(options.sink) || options.order == Order::committed_in_order;
    using Inner = detail::Committed<T, S, C, Shared>;
    ConsumerOptions<T, typename Inner::Result> inner{
        .executor = options.executor,
        .max_in_flight = options.max_in_flight,
        .order = options.order,
        .dead_letters =
            [term, receiver = options.dead_letters](DeadLetter<T>& letter) {
              term->bury(letter);
              if (receiver) receiver(letter);
            },
        .max_kept_dead_letters = options.max_kept_dead_letters,
        .on_failure = options.on_failure,
        .on_error = options.on_error,
        .on_window = options.on_window};
    if (commit_later) inner.sink = detail::CommitSink<T, S, C, R>(term, options.sink);
    return streaming(loaded, emitter,
                     Inner(term, shared, options.on_failure, delivery, commit_later),
                     std::move(inner));
  };
  return DurableConsumer<T>(std::make_unique<detail::DurableWay<T, S, C>>(
      detail::DurableCoreOf<T, S, C>::get(stream), delivery, max_attempts, std::move(start),
      [shared] { return shared->running.load() == 0; }, on_error));
}

}  // namespace microbatch::inline v0_1
