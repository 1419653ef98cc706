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

/// Hopping windows made of panes: each item is added up once, and each pane about twice, however
/// many windows it is in. The panes are kept here, by key, until their last window is over.
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
    const auto [slot, fresh] = keys_.insert(key_of(window), [] { return Panes(); });
    try {
      add(keys_[slot], bounds.begin, std::move(part));
    } catch (...) {
      if (fresh) keys_.erase(slot);
      throw;
    }
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
    std::optional<A> on{};  // see Panes
  };
  /// A key's panes, by time, and what the last window's are together: in the first `front` of them
  /// `on` is from that pane to the last of these; behind them, up to `end`, `back` is the others.
  /// So a window that follows leaves out and adds a pane without a look at the rest. (Two stacks:
  /// K. Tangwongsan et al., Low-Latency Sliding-Window Aggregation in Worst-Case Constant Time,
  /// 2017, tells of them.)
  struct Panes {
    std::vector<Pane> panes{};
    std::size_t front = 0;
    std::size_t end = 0;
    std::optional<A> back{};

    void forget_sums() noexcept { front = end = 0; }
  };

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

  void add(Panes& of_key, EventTime begin, A&& part) {
    earliest_ = std::min(earliest_, begin);
    auto& panes = of_key.panes;
    const auto at = std::lower_bound(panes.begin(), panes.end(), begin,
                                     [](const Pane& p, EventTime t) { return p.begin < t; });
    if (static_cast<std::size_t>(at - panes.begin()) < of_key.end) of_key.forget_sums();
    if (at != panes.end() && at->begin == begin)
      g_.merge(at->all, std::move(part));
    else
      panes.insert(at, {begin, std::move(part)});
  }

  /// The panes before `end`, of which none is older than the window, together; none of none.
  [[nodiscard]] std::optional<A> sum(Panes& of_key, EventTime end) {
    auto& panes = of_key.panes;
    const std::size_t front = std::exchange(of_key.front, 0);  // where a merge throws: anew
    std::size_t n = front > 0 ? of_key.end : 0;
    const std::size_t known = n;
    while (n < panes.size() && panes[n].begin < end) ++n;
    if (n == 0) return {};
    if (front == 0) {
      for (std::size_t i = n; i-- > 0;) {
        panes[i].on.emplace(panes[i].all);
        if (i + 1 < n) g_.merge(*panes[i].on, A(*panes[i + 1].on));
      }
      of_key.back.reset();
      of_key.front = n;
    } else {
      for (std::size_t i = known; i < n; ++i) {
        if (of_key.back)
          g_.merge(*of_key.back, A(panes[i].all));
        else
          of_key.back.emplace(panes[i].all);
      }
      of_key.front = front;
    }
    of_key.end = n;
    A all = *panes.front().on;
    if (of_key.back) g_.merge(all, A(*of_key.back));
    return all;
  }
  /// Panes that begin before a time go.
  static void leave_out(Panes& of_key, EventTime before) {
    const auto n = static_cast<std::size_t>(
        std::erase_if(of_key.panes, [&](const Pane& pane) { return pane.begin < before; }));
    if (n >= of_key.front) return of_key.forget_sums();
    of_key.front -= n;
    of_key.end -= n;
  }

  /// Every window that ends until then, in order.
  template <class Out>
  void close(EventTime until, Reason reason, Out& out) {
    while (!keys_.empty()) {
      const EventTime begin =
          std::max(shape_.first_window(earliest_, origin_), closed_ - shape_.size + shape_.hop);
      if (begin + shape_.size > until) break;
      close_window({begin, begin + shape_.size}, reason, out);
    }
    if (until != EventTime::max()) closed_ = std::max(closed_, shape_.last_over(until, origin_));
  }
  /// What each key came to in a window. Panes that no later window holds go.
  template <class Out>
  void close_window(const EventBounds& bounds, Reason reason, Out& out) {
    keys_.for_each([&](const Key& key, Panes& panes) {
      if (std::optional<A> all = sum(panes, bounds.end))
        out(aggregated(key, g_.result(std::move(*all)), bounds, reason));
    });
    closed_ = bounds.end;
    earliest_ = EventTime::max();
    idle_.clear();
    for (std::uint32_t slot = 0; slot < keys_.slots(); ++slot) {
      Panes& of_key = keys_[slot];
      if (of_key.panes.empty()) continue;  // a slot without a key
      leave_out(of_key, bounds.begin + shape_.hop);
      if (of_key.panes.empty())
        idle_.push_back(slot);
      else
        earliest_ = std::min(earliest_, of_key.panes.front().begin);
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
