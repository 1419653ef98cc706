#pragma once

#include <concepts>
#include <exception>
#include <functional>
#include <memory>
#include <ranges>
#include <stop_token>
#include <thread>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "emitters/by_key.hpp"
#include "flow/inlet.hpp"
#include "flow/outlet.hpp"
#include "operators/joining.hpp"
#include "operators/stages.hpp"
#include "operators/windowed.hpp"
#include "pipeline.hpp"

/// Operators over streams, composed from left to right:
///
///     auto flow = from(lines) | flat_map(words) | by_key(identity) | window(tumbling) | count()
///               | filter(often) | to(sink);
///     auto end = flow.run();
///
/// Up to the window there is one loop per source, without a queue; the window is that of a Stream,
/// whose engine, limits, retries and ledger are the usual ones; what follows is part of its
/// callback. A full stream holds back the sources. A source is told of a commit when everything
/// that came of its item has ended: was filtered out, or left in a window whose results the sink
/// took. Types are checked where the stages meet.

namespace microbatch::inline v0_1 {

namespace detail {

template <class Flow, class E>
struct WindowedFlow {
  Flow flow;
  E emitter;
};
template <class Flow, class KeyFn>
struct KeyedFlow {
  Flow flow;
  KeyFn key;
};
template <class E>
struct WindowStage {
  E emitter;
};
template <class KeyFn>
struct KeyStage {
  KeyFn key;
};
template <class F>
struct ProcessStage {
  F f;
};
template <class F>
struct SideStage {
  F f;
};
template <class S>
struct SinkStage {
  S sink;
};

/// The left part of a flow: sources with their stages, all of which bring items T.
template <class T, class... Inlets>
struct Flow {
  using value_type = T;
  std::tuple<Inlets...> inlets;

  template <class S>
    requires is_stage<S>
  friend auto operator|(Flow flow, S stage) {
    using Out = typename S::template Out<T>::type;
    return std::apply(
        [&](auto&&... inlet) {
          using Next = Flow<Out, decltype(std::move(inlet).then(stage))...>;
          return Next{std::tuple(std::move(inlet).then(stage)...)};
        },
        std::move(flow.inlets));
  }
  template <class E>
  friend auto operator|(Flow flow, WindowStage<E> stage) {
    require_emitter<E>();
    return WindowedFlow<Flow, E>{std::move(flow), std::move(stage.emitter)};
  }
  template <class K>
  friend auto operator|(Flow flow, KeyStage<K> stage) {
    return KeyedFlow<Flow, K>{std::move(flow), std::move(stage.key)};
  }

  template <class E>
  static consteval void require_emitter() {
    static_assert(WindowEmitter<E, T>,
                  "microbatch: window() needs an emitter for the items that come to it");
  }
};

template <class F, class K, class E>
auto operator|(KeyedFlow<F, K> keyed, WindowStage<E> stage) {
  auto emitter = microbatch::by_key(std::move(keyed.key), std::move(stage.emitter));
  return std::move(keyed.flow) | WindowStage<decltype(emitter)>{std::move(emitter)};
}

/// A flow with its window and what is done with it; runs once it leads to a sink.
template <class T, class Inlets, class E, class Work, class Post = Fused<>, class Side = RejectSide>
struct ComputedFlow {
  Inlets inlets;
  E emitter;
  Work work;
  Post post{};
  Side on_side{};

  using Result = typename Post::template Out<typename Work::Result>;

  template <class S>
    requires is_stage<S>
  friend auto operator|(ComputedFlow flow, S stage) {
    auto longer = std::move(flow.post).then(std::move(stage));
    return ComputedFlow<T, Inlets, E, Work, decltype(longer), Side>{
        std::move(flow.inlets), std::move(flow.emitter), std::move(flow.work), std::move(longer),
        std::move(flow.on_side)};
  }
  template <class F>
  friend auto operator|(ComputedFlow flow, SideStage<F> stage) {
    static_assert(std::invocable<F&, Window<T>&>,
                  "microbatch: side()'s function must be callable with Window<T>&");
    return ComputedFlow<T, Inlets, E, Work, Post, F>{std::move(flow.inlets),
                                                     std::move(flow.emitter), std::move(flow.work),
                                                     std::move(flow.post), std::move(stage.f)};
  }
  template <class S>
  friend auto operator|(ComputedFlow flow, SinkStage<S> stage) {
    static_assert(
        Sink<UnwrappedSink<S>, Result> || std::invocable<UnwrappedSink<S>&, const Result&>,
        "microbatch: to() needs a sink with put(std::span<const R>), or a function of a "
        "const R, where R is what the flow's last stage gives");
    return RunnableFlow<T, Inlets, E, Work, Post, Side, S>(
        std::move(flow.inlets), std::move(flow.emitter),
        Outlet<T, Work, Post, Side>{std::move(flow.work), std::move(flow.post),
                                    std::move(flow.on_side)},
        std::move(stage.sink));
  }
};

template <class T, class... I, class E, class G>
  requires is_aggregate<G>
auto operator|(WindowedFlow<Flow<T, I...>, E> windowed, G g) {
  auto [emitter, work] =
      AggregateWork<G>{std::move(g)}.template bind<T, (... || I::commits)>(windowed.emitter);
  return ComputedFlow<T, Flow<T, I...>, decltype(emitter), decltype(work)>{
      std::move(windowed.flow), std::move(emitter), std::move(work)};
}
template <class T, class... I, class E, class F>
auto operator|(WindowedFlow<Flow<T, I...>, E> windowed, ProcessStage<F> stage) {
  using Work = Process<T, F>;
  return ComputedFlow<T, Flow<T, I...>, E, Work>{
      std::move(windowed.flow), std::move(windowed.emitter), Work{std::move(stage.f)}};
}
template <class T, class... I, class E, class S>
auto operator|(WindowedFlow<Flow<T, I...>, E> windowed, SinkStage<S> stage) {
  return std::move(windowed) | ProcessStage<PassOn>{} | std::move(stage);
}

}  // namespace detail

/// The beginning of a flow: a Source by reference (or moved in), or any range of items.
template <class S>
[[nodiscard]] auto from(S&& source) {
  using Held = detail::HeldSource<S>;
  return detail::Flow<typename Held::value_type, detail::Inlet<Held>>{
      {detail::Inlet<Held>{Held(std::forward<S>(source)), {}}}};
}

/// Several flows of the same items as one, without an order between them. Each but the first runs
/// on a thread of its own. Event time goes by the least of them: see Watermark.
template <class T, class... As, class... Bs>
[[nodiscard]] auto merge(detail::Flow<T, As...> a, detail::Flow<T, Bs...> b) {
  return detail::Flow<T, As..., Bs...>{std::tuple_cat(std::move(a.inlets), std::move(b.inlets))};
}
template <class T, class... As, class U, class... Bs>
[[nodiscard]] auto merge(detail::Flow<T, As...>, detail::Flow<U, Bs...>) {
  static_assert(std::same_as<T, U>,
                "microbatch: merge needs flows of the same item type; map() one to the other's");
}
template <class F, class G, class H, class... More>
[[nodiscard]] auto merge(F first, G second, H third, More... more) {
  return merge(merge(std::move(first), std::move(second)), std::move(third), std::move(more)...);
}

/// Pairs of a left and a right item with the same key, the right one from `rules.from` until
/// `rules.to` after the left one. The pairs of a left item come together, once the watermark has
/// passed the last that could match: at most 2 (to - from) after it. They are complete where items
/// are no later than rules.event_time.out_of_orderness; later ones go to side(). Each item is
/// copied once.
///
///     join(from(views), from(clicks),
///          JoinBy{&View::user, &View::time, &Click::user, &Click::time}, {.to = 5s})
template <class L, class... Ls, class R, class... Rs, class LK, class LT, class RK, class RT>
[[nodiscard]] auto join(detail::Flow<L, Ls...> left, detail::Flow<R, Rs...> right,
                        JoinBy<LK, LT, RK, RT> by, const JoinRules& rules) {
  using By = JoinBy<LK, LT, RK, RT>;
  using Item = std::variant<L, R>;
  auto both = merge(
      std::move(left) | map([](L item) { return Item(std::in_place_index<0>, std::move(item)); }),
      std::move(right) | map([](R item) { return Item(std::in_place_index<1>, std::move(item)); }));
  using Emitter = detail::EventWindows<detail::PaneState, detail::HoppingShape,
                                       detail::JoinTime<By>, detail::JoinKey<By>>;
  EventTimeOptions event_time = rules.event_time;
  event_time.allowed_lateness = {};  // a late item would miss pairs: it goes to side()
  Emitter emitter(detail::join_shape(rules), detail::JoinTime<By>{by}, detail::JoinKey<By>{by},
                  event_time);
  return detail::ComputedFlow<Item, decltype(both), Emitter, detail::Join<L, R, By>>{
      std::move(both), std::move(emitter), detail::Join<L, R, By>(std::move(by), rules)};
}

/// The next window() is by this key.
template <class KeyFn>
[[nodiscard]] auto by_key(KeyFn key) {
  return detail::KeyStage<KeyFn>{std::move(key)};
}
/// Windows by any emitter.
template <class E>
[[nodiscard]] auto window(E emitter) {
  return detail::WindowStage<E>{std::move(emitter)};
}
/// What f(Window<T>&), or f(span), returns for each window: one result, or a range of them.
template <class F>
[[nodiscard]] auto process(F f) {
  return detail::ProcessStage<F>{std::move(f)};
}
/// f(Window<T>&) gets the items that are in no proper window: Reason::too_late and unplaced.
/// Without it they are rejected, and become dead letters that tell why.
template <class F>
[[nodiscard]] auto side(F f) {
  return detail::SideStage<F>{std::move(f)};
}
/// A sink that parts results in two: those for which the predicate is true, and the others. Either
/// may be branch(...) again.
template <class P, class S, class O>
[[nodiscard]] auto branch(P predicate, S then, O otherwise) {
  return detail::Branch<P, S, O>{std::move(predicate), std::move(then), std::move(otherwise)};
}
/// The end of a flow: a Sink (by value or std::ref), branch(...), or any function of one result.
template <class S>
[[nodiscard]] auto to(S sink) {
  return detail::SinkStage<S>{std::move(sink)};
}

}  // namespace microbatch::inline v0_1
