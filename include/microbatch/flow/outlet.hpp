#pragma once

#include <exception>
#include <functional>
#include <memory>
#include <span>
#include <thread>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "../operators/keyed_fold.hpp"
#include "../operators/stages.hpp"
#include "../pipeline.hpp"
#include "inlet.hpp"

namespace microbatch::inline v0_1 {

/// What a flow came to.
template <class T>
using FlowResult = RunResult<T>;

namespace detail {

/// Items that are in no proper window are dead letters, unless side() takes them.
struct RejectSide {
  template <class T>
  void operator()(Window<T>& window) const {
    const char* why = window.reason() == Reason::too_late
                          ? "too late: its window is over, and the allowed lateness with it"
                          : "not placed: no usable event time or key";
    for (std::size_t i = 0; i < window.size(); ++i) window.reject(i, why);
  }
};

/// window() straight to a sink: the items themselves. They are copied, for a failed put is
/// repeated.
struct PassOn {
  template <class T>
  std::vector<T> operator()(std::span<const T> items) const {
    return {items.begin(), items.end()};
  }
  template <class T>
  std::vector<T> operator()(Window<T>& window) const {
    return {window.begin(), window.end()};
  }
};

/// process(f) as the work of a flow.
template <class T, class F>
class Process {
 public:
  using Returns = Returned<T, F>;
  static_assert(!std::is_void_v<Returns>,
                "microbatch: process()'s function must return the window's result, or a range of "
                "results; for none, use streaming()");
  using Result = callback_result_t<T, F>;
  static constexpr bool keeps_state = false;

  explicit Process(F f) : f_(std::move(f)) {}

  template <class Out>
  void operator()(Window<T>& window, Out&& out) {
    auto result = call_callback<T>(f_, window);
    if constexpr (ManyResults<Returns>) {
      for (auto& one : result) out(std::move(one));
    } else {
      out(std::move(result));
    }
  }
  template <class Out>
  void finish(Out&&) {}

 private:
  F f_;
};

/// From windows to results: the work, then the stages behind it.
template <class T, class Work, class Post, class Side>
struct Outlet {
  Work work;
  Post post;
  Side on_side;
  using Result = typename Post::template Out<typename Work::Result>;

  std::vector<Result> operator()(Window<T>& window) {
    if (window.reason() == Reason::too_late || window.reason() == Reason::unplaced) {
      on_side(window);
      return {};
    }
    return collect([&](auto&& out) { work(window, out); });
  }
  std::vector<Result> finish() {
    return collect([&](auto&& out) { work.finish(out); });
  }

 private:
  template <class F>
  std::vector<Result> collect(F&& f) {
    std::vector<Result> results;
    f([&](auto&& made) {
      post.push(std::move(made), [&](auto&& result) { results.push_back(std::move(result)); });
    });
    return results;
  }
};

/// A sink as it was given to to() or branch(): itself, a reference to one, or a function of one
/// result.
template <class S>
using UnwrappedSink = std::remove_reference_t<std::unwrap_reference_t<S>>;

template <class R, class S>
void put_into(S& held, std::span<const R> results) {
  UnwrappedSink<S>& sink = held;
  if (results.empty()) return;
  if constexpr (Sink<UnwrappedSink<S>, R>) {
    sink.put(results);
  } else {
    for (const R& result : results) std::invoke(sink, result);
  }
}
template <class S>
void close_sink(S& held) {
  UnwrappedSink<S>& sink = held;
  if constexpr (ClosableSink<UnwrappedSink<S>>) sink.close();
}

/// Results for which the predicate is true to one sink, the others to the other. When the second
/// put fails, the first is not repeated.
template <class P, class S, class O>
struct Branch {
  P predicate;
  S then;
  O otherwise;
  bool then_has_it = false;

  template <class R>
    requires std::predicate<P&, const R&>
  void put(std::span<const R> results) {
    if (!then_has_it) put_those(then, results, true);
    then_has_it = true;
    put_those(otherwise, results, false);
    then_has_it = false;
  }
  void close() {
    close_sink(then);
    close_sink(otherwise);
  }

 private:
  template <class To, class R>
  void put_those(To& to, std::span<const R> results, bool wanted) {
    std::vector<R> those;
    for (const R& result : results)
      if (std::invoke(predicate, result) == wanted) those.push_back(result);
    put_into<R>(to, those);
  }
};

template <class Work>
inline constexpr bool folding = false;
template <class T, class G, class KeyFn>
inline constexpr bool folding<KeyedFold<T, G, KeyFn>> = true;

/// A whole flow. run() is for one call at a time.
template <class T, class Inlets, class E, class Work, class Post, class Side, class S>
class RunnableFlow {
 public:
  using Out = Outlet<T, Work, Post, Side>;
  using Result = typename Out::Result;
  using Options = RunOptions<T, Result>;

  RunnableFlow(Inlets flow, E emitter, Out outlet, S sink)
      : flow_(std::move(flow)),
        emitter_(std::move(emitter)),
        outlet_(std::move(outlet)),
        sink_(std::move(sink)) {}

  /// Returns when all sources have ended and everything is drained. The first source runs on the
  /// calling thread. Errors: what a source throws, after everything that was appended was drained;
  /// ConfigError for settings that cannot work, before anything runs.
  FlowResult<T> run(Options options = {}) {
    if constexpr (folding<Work>) {  // cheap, and in an order that satisfies every other
      options.consumer.order = Order::sequential;
      options.consumer.max_in_flight = 0;
    }
    if (Work::keeps_state && options.consumer.order != Order::sequential)
      throw ConfigError(
          "flow: hopping windows add up panes in order; expected ConsumerOptions.order = "
          "Order::sequential");
    Stream<T> stream(std::move(options.stream));
    auto tracker = std::make_shared<CommitTracker>();
    CoreOf<T>::get(stream)->settlement.track(tracker, [this](const Origin& last) { commit(last); });
    options.consumer.sink = PutOnly{&sink_};
    Consumer<T> consumer = streaming(
        stream, std::move(emitter_), [this](Window<T>& window) { return outlet_(window); },
        std::move(options.consumer));
    const std::exception_ptr failure = bring_in(stream, tracker, options.stop);
    FlowResult<T> result{.closed = consumer.close(), .stats = consumer.stats()};
    const std::vector<Result> last = outlet_.finish();
    put_into<Result>(sink_, last);
    close_sink(sink_);
    if (failure) std::rethrow_exception(failure);
    return result;
  }

 private:
  /// The flow closes the sink itself, after its last results.
  struct PutOnly {
    S* sink;
    void put(std::span<const Result> results) { put_into<Result>(*sink, results); }
  };

  std::exception_ptr bring_in(Stream<T>& stream, const std::shared_ptr<CommitTracker>& tracker,
                              const std::stop_token& stop) {
    constexpr auto sources = std::tuple_size_v<decltype(flow_.inlets)>;
    static_assert(sources <= PartitionMap::most_sources, "microbatch: a flow of too many sources");
    std::vector<std::exception_ptr> failures(sources);
    const auto run_inlet = [&](auto& inlet, std::size_t number) {
      try {
        inlet.run(stream, tracker, static_cast<std::uint32_t>(number), sources, stop);
      } catch (...) {
        failures[number] = std::current_exception();
      }
    };
    std::apply(
        [&](auto& first, auto&... others) {
          std::vector<std::jthread> threads;
          std::size_t number = 0;
          (threads.emplace_back([&, n = ++number] { run_inlet(others, n); }), ...);
          run_inlet(first, 0);
        },
        flow_.inlets);
    for (const auto& failure : failures)
      if (failure) return failure;
    return nullptr;
  }

  void commit(const Origin& last) {
    const std::uint32_t source = PartitionMap::source_of(last.partition);
    std::uint32_t number = 0;
    std::apply(
        [&](auto&... inlets) {
          ((number++ == source ? inlets.commit({PartitionMap::within(last.partition), last.offset})
                               : void()),
           ...);
        },
        flow_.inlets);
  }

  Inlets flow_;
  E emitter_;
  Out outlet_;
  S sink_;
};

}  // namespace detail
}  // namespace microbatch::inline v0_1
