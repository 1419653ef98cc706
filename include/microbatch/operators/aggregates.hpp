#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

#include "../core/errors.hpp"
#include "../core/key_map.hpp"
#include "not_a_range.hpp"

namespace microbatch::inline v0_1 {

/// What a window's items come to. An aggregate of items T has
///
///   auto empty() const                    of nothing yet
///   void add(A& all, const T& item)       one more item
///   void merge(A& all, A&& other)         two of them made one: lets hopping windows add up panes
///   auto result(A&& all) const            what the window comes to
template <class G, class T>
concept AggregateOf = requires(G& g, const T& item) {
  g.empty();
  requires requires(decltype(g.empty())& all) {
    g.add(all, item);
    g.result(std::move(all));
  };
};

namespace detail {

template <class G>
concept Mergeable = requires(G& g, decltype(g.empty())& all) { g.merge(all, g.empty()); };

struct Itself {
  template <class T>
  const T& operator()(const T& item) const noexcept {
    return item;
  }
};
template <class F, class T>
using ValueOf = std::remove_cvref_t<std::invoke_result_t<F&, const T&>>;

struct Count {
  [[nodiscard]] std::uint64_t empty() const noexcept { return 0; }
  template <class T>
  void add(std::uint64_t& n, const T&) const noexcept {
    ++n;
  }
  void merge(std::uint64_t& n, std::uint64_t other) const noexcept { n += other; }
  [[nodiscard]] std::uint64_t result(std::uint64_t n) const noexcept { return n; }
};

/// Aggregates whose state depends on the item type are made for it: G::For<T>.
template <class G, class T>
struct Bound {
  using type = G;
  static G make(G g) { return g; }
};
template <class G, class T>
  requires requires { typename G::template For<T>; }
struct Bound<G, T> {
  using type = typename G::template For<T>;
  static type make(G g) { return type{std::move(g.f)}; }
};

/// Numbers from a function that does not throw.
template <class F, class T>
inline constexpr bool adds_safely =
    std::is_nothrow_invocable_v<F&, const T&> && std::is_arithmetic_v<ValueOf<F, T>>;

template <class F>
struct Sum {
  F f;
  template <class T>
  struct For {
    static_assert(std::invocable<F&, const T&>,
                  "microbatch: sum's function must be callable with a const item");
    using V = ValueOf<F, T>;
    F f;
    [[nodiscard]] V empty() const { return V{}; }
    void add(V& all, const T& item) noexcept(adds_safely<F, T>) { all += std::invoke(f, item); }
    void merge(V& all, V&& other) const { all += std::move(other); }
    [[nodiscard]] V result(V&& all) const { return std::move(all); }
  };
};

/// The item's value that comes first by Less; none where there was no item.
template <class F, class Less>
struct Extreme {
  F f;
  template <class T>
  struct For {
    static_assert(std::invocable<F&, const T&>,
                  "microbatch: min's and max's function must be callable with a const item");
    using V = std::optional<ValueOf<F, T>>;
    F f;
    [[nodiscard]] V empty() const { return {}; }
    void add(V& all, const T& item) noexcept(adds_safely<F, T>) {
      take(all, ValueOf<F, T>(std::invoke(f, item)));
    }
    void merge(V& all, V&& other) const {
      if (other) take(all, std::move(*other));
    }
    [[nodiscard]] V result(V&& all) const { return std::move(all); }
    static void take(V& all, ValueOf<F, T>&& value) {
      if (!all || Less{}(value, *all)) all = std::move(value);
    }
  };
};

template <class F>
struct Reduce {
  F f;
  template <class T>
  struct For {
    static_assert(std::is_invocable_r_v<T, F&, T, const T&>,
                  "microbatch: reduce's function must take two items and return one");
    F f;
    [[nodiscard]] std::optional<T> empty() const { return {}; }
    void add(std::optional<T>& all, const T& item) {
      all = all ? std::invoke(f, std::move(*all), item) : item;
    }
    void merge(std::optional<T>& all, std::optional<T>&& other) {
      if (other) add(all, *other);
    }
    [[nodiscard]] std::optional<T> result(std::optional<T>&& all) const { return std::move(all); }
  };
};

template <class F>
struct TopN {
  struct Setting {
    std::size_t n;
    F f;
  } f;
  template <class T>
  struct For {
    Setting setting;
    [[nodiscard]] std::vector<T> empty() const { return {}; }
    void add(std::vector<T>& all, const T& item) { place(all, T(item)); }
    void merge(std::vector<T>& all, std::vector<T>&& other) {
      for (T& item : other) place(all, std::move(item));
    }
    [[nodiscard]] std::vector<T> result(std::vector<T>&& all) const { return std::move(all); }

   private:
    void place(std::vector<T>& all, T&& item) {
      const auto above = [&](const T& a, const T& b) {
        return std::invoke(setting.f, a) > std::invoke(setting.f, b);
      };
      if (all.size() == setting.n && !above(item, all.back())) return;
      all.insert(std::upper_bound(all.begin(), all.end(), item, above), std::move(item));
      if (all.size() > setting.n) all.pop_back();
    }
  };
};

template <class F>
struct Distinct {
  F f;
  template <class T>
  struct For {
    using V = StoredKey<std::invoke_result_t<F&, const T&>>;
    static_assert(HashableKey<V>,
                  "microbatch: distinct's values must have a std::hash, an ==, and be copyable");
    struct Nothing {};
    using Set = KeyMap<V, Nothing>;
    F f;
    [[nodiscard]] Set empty() const { return {}; }
    void add(Set& all, const T& item) {
      (void)all.insert(std::invoke(f, item), [] { return Nothing{}; });
    }
    void merge(Set& all, Set&& other) const {
      for (std::uint32_t i = 0; i < other.slots(); ++i)
        (void)all.insert(other.key(i), [] { return Nothing{}; });
    }
    [[nodiscard]] std::vector<V> result(Set&& all) const {
      std::vector<V> values;
      for (std::uint32_t i = 0; i < all.slots(); ++i) values.push_back(all.key(i));
      return values;
    }
  };
};

struct Less {
  template <class V>
  bool operator()(const V& a, const V& b) const {
    return a < b;
  }
};
struct Greater {
  template <class V>
  bool operator()(const V& a, const V& b) const {
    return b < a;
  }
};

template <class Empty, class Add, class Merge, class Result>
struct Aggregate {
  Empty make;
  Add add_one;
  Merge merge_two;
  Result finish;

  [[nodiscard]] auto empty() { return std::invoke(make); }
  template <class A, class T>
    requires std::invocable<Add&, A&, const T&>
  void add(A& all, const T& item) {
    std::invoke(add_one, all, item);
  }
  template <class A>
    requires std::invocable<Merge&, A&, A&&>
  void merge(A& all, A&& other) {
    std::invoke(merge_two, all, std::move(other));
  }
  template <class A>
  auto result(A&& all) {
    return std::invoke(finish, std::forward<A>(all));
  }
};

struct NoMerge {};

}  // namespace detail

/// How many items.
[[nodiscard]] inline auto count() { return detail::Count{}; }
/// The sum of f(item), or of the items.
template <detail::NotARange F = detail::Itself>
[[nodiscard]] auto sum(F f = {}) {
  return detail::Sum<F>{std::move(f)};
}
/// The least of f(item), as an optional.
template <detail::NotARange F = detail::Itself>
[[nodiscard]] auto min(F f = {}) {
  return detail::Extreme<F, detail::Less>{std::move(f)};
}
/// The greatest of f(item), as an optional.
template <detail::NotARange F = detail::Itself>
[[nodiscard]] auto max(F f = {}) {
  return detail::Extreme<F, detail::Greater>{std::move(f)};
}
/// Items made one by f(T, const T&), which must be associative; as an optional.
template <detail::NotARange F>
[[nodiscard]] auto reduce(F f) {
  return detail::Reduce<F>{std::move(f)};
}
/// The n items with the greatest f(item), the greatest first; among equals the earlier ones.
/// ConfigError for 0.
template <class F = detail::Itself>
[[nodiscard]] auto top_n(std::size_t n, F f = {}) {
  if (n == 0) throw ConfigError("top_n: n must be at least 1, got 0");
  return detail::TopN<F>{{n, std::move(f)}};
}
/// The different values of f(item), in the order of their first.
template <detail::NotARange F = detail::Itself>
[[nodiscard]] auto distinct(F f = {}) {
  return detail::Distinct<F>{std::move(f)};
}
/// An aggregate of your own: empty() -> A, add(A&, const T&), result(A&&) -> R. With
/// merge(A&, A&&) hopping windows add up panes instead of items.
template <class Empty, class Add, class Merge, class Result>
[[nodiscard]] auto aggregate(Empty empty, Add add, Merge merge, Result result) {
  return detail::Aggregate<Empty, Add, Merge, Result>{std::move(empty), std::move(add),
                                                      std::move(merge), std::move(result)};
}
template <class Empty, class Add, class Result>
[[nodiscard]] auto aggregate(Empty empty, Add add, Result result) {
  return detail::Aggregate<Empty, Add, detail::NoMerge, Result>{
      std::move(empty), std::move(add), {}, std::move(result)};
}

}  // namespace microbatch::inline v0_1
