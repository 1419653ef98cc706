#pragma once

#include <algorithm>
#include <cstddef>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

#include "../core/window.hpp"
#include "../emitters/pane_state.hpp"
#include "aggregated.hpp"
#include "aggregates.hpp"
#include "keyed_fold.hpp"

namespace microbatch::inline v0_1::detail {

/// Each window by itself.
template <class T, class G, class K>
class WindowAggregate {
 public:
  using A = decltype(std::declval<G&>().empty());
  using R = std::remove_cvref_t<decltype(std::declval<G&>().result(std::declval<A&&>()))>;
  using Result = Aggregated<R, K>;
  static constexpr bool keeps_state = false;

  explicit WindowAggregate(G g) : g_(std::move(g)) {}

  template <class Out>
  void operator()(Window<T>& window, Out&& out) {
    A all = g_.empty();
    for (const T& item : window) g_.add(all, item);
    if constexpr (std::is_void_v<K>)
      out(aggregated(NoKey{}, g_.result(std::move(all)), window.event_bounds(), window.reason()));
    else
      out(aggregated(window.template key<K>(), g_.result(std::move(all)), window.event_bounds(),
                     window.reason()));
  }
  template <class Out>
  void finish(Out&&) {}

 private:
  G g_;
};

/// Hopping windows made of panes: each item is added up once, each window adds up its panes. The
/// panes are kept here, by key, until their last window is over.
///
/// Threads: one window at a time, in order. A window that fails has changed nothing.
template <class T, class G, class K>
class PaneAggregate {
 public:
  using A = decltype(std::declval<G&>().empty());
  using R = std::remove_cvref_t<decltype(std::declval<G&>().result(std::declval<A&&>()))>;
  using Result = Aggregated<R, K>;
  using Key = std::conditional_t<std::is_void_v<K>, NoKey, K>;
  static constexpr bool keeps_state = true;

  PaneAggregate(G g, const PaneShape& shape, EventTime origin)
      : g_(std::move(g)), shape_(shape), origin_(origin) {}

  template <class Out>
  void operator()(Window<T>& window, Out&& out) {
    const EventBounds bounds = *window.event_bounds();
    if (window.empty()) return close(bounds.end, window.reason(), out);
    A part = g_.empty();
    for (const T& item : window) g_.add(part, item);
    if (last_bounds(bounds.begin).end <= closed_) {  // too late for all its windows
      out(aggregated(key_of(window), g_.result(std::move(part)), last_bounds(bounds.begin),
                     Reason::late));
      return;
    }
    add(keys_[keys_.insert(key_of(window), [] { return Panes(); }).first], bounds.begin,
        std::move(part));
  }

  /// The windows that are still open, at the end of the stream.
  template <class Out>
  void finish(Out&& out) {
    close(EventTime::max(), Reason::close, out);
  }

 private:
  struct Pane {
    EventTime begin;
    A all;
  };
  using Panes = std::vector<Pane>;  // by time

  [[nodiscard]] static decltype(auto) key_of(const Window<T>& window) {
    if constexpr (std::is_void_v<K>)
      return NoKey{};
    else
      return window.template key<K>();
  }
  [[nodiscard]] EventBounds last_bounds(EventTime t) const noexcept {
    const EventTime begin = shape_.last_window(t, origin_);
    return {begin, begin + shape_.size};
  }

  void add(Panes& panes, EventTime begin, A&& part) {
    earliest_ = std::min(earliest_, begin);
    const auto at = std::lower_bound(panes.begin(), panes.end(), begin,
                                     [](const Pane& p, EventTime t) { return p.begin < t; });
    if (at != panes.end() && at->begin == begin)
      g_.merge(at->all, std::move(part));
    else
      panes.insert(at, {begin, std::move(part)});
  }

  /// Every window that ends until then, in order. (A stream that drains leaves out empty windows,
  /// so one may stand for several.)
  template <class Out>
  void close(EventTime until, Reason reason, Out& out) {
    while (!keys_.empty()) {
      const EventTime begin =
          std::max(shape_.first_window(earliest_, origin_), closed_ - shape_.size + shape_.hop);
      if (begin + shape_.size > until) return;
      close_window({begin, begin + shape_.size}, reason, out);
    }
  }
  /// What each key came to in a window. Panes that no later window holds go.
  template <class Out>
  void close_window(const EventBounds& bounds, Reason reason, Out& out) {
    keys_.for_each([&](const Key& key, const Panes& panes) {
      A all = g_.empty();
      bool any = false;
      for (const Pane& pane : panes) {
        if (pane.begin < bounds.begin || pane.begin >= bounds.end) continue;
        g_.merge(all, A(pane.all));
        any = true;
      }
      if (any) out(aggregated(key, g_.result(std::move(all)), bounds, reason));
    });
    closed_ = bounds.end;
    earliest_ = EventTime::max();
    idle_.clear();
    for (std::uint32_t slot = 0; slot < keys_.slots(); ++slot) {
      Panes& panes = keys_[slot];
      if (panes.empty()) continue;  // a slot without a key
      std::erase_if(panes,
                    [&](const Pane& pane) { return pane.begin < bounds.begin + shape_.hop; });
      if (panes.empty())
        idle_.push_back(slot);
      else
        earliest_ = std::min(earliest_, panes.front().begin);
    }
    for (const std::uint32_t slot : idle_) keys_.erase(slot);
  }

  G g_;
  const PaneShape shape_;
  const EventTime origin_;
  KeyMap<Key, Panes> keys_;
  std::vector<std::uint32_t> idle_;
  EventTime earliest_ = EventTime::max();                                  // of all panes
  EventTime closed_ = EventTime::min() + Duration(std::int64_t{1} << 62);  // windows until then
};

/// Count windows by key, which need not be kept to be added up.
template <class T, class G, class E>
inline constexpr bool folds = false;
template <class T, class G, class KeyFn>
inline constexpr bool folds<T, G, KeyedWindows<KeyFn, CountWindow>> = FoldsSafely<T, G, KeyFn>;

/// What a window-and-aggregate pair becomes for items T: the emitter, and what is done per window.
/// Where a source hears of commits, items are kept until what they were added to has been put.
template <class G>
struct AggregateWork {
  G g;

  template <class T, bool commits, class E>
  auto bind(const E& emitter) {
    static_assert(AggregateOf<typename Bound<G, T>::type, T>,
                  "microbatch: an aggregate needs empty(), add(A&, const T&) and result(A&&) for "
                  "the window's item type T");
    using Made = typename Bound<G, T>::type;
    using K = typename WindowKey<E, T>::type;
    if constexpr (folds<T, Made, E> && !commits) {
      using KeyFn = std::remove_cvref_t<decltype(emitter.key_function())>;
      return std::pair(Arrivals{}, KeyedFold<T, Made, KeyFn>(emitter.key_function(), emitter.each(),
                                                             Bound<G, T>::make(g)));
    } else if constexpr (requires { emitter.panes(); } && Mergeable<Made>) {
      return std::pair(
          emitter.panes(),
          PaneAggregate<T, Made, K>(Bound<G, T>::make(g), emitter.shape(), emitter.rules().origin));
    } else {
      return std::pair(emitter, WindowAggregate<T, Made, K>(Bound<G, T>::make(g)));
    }
  }
};

template <class G>
inline constexpr bool is_aggregate =
    requires(G& g) { g.empty(); } || requires { typename G::template For<int>; };

}  // namespace microbatch::inline v0_1::detail
