#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <functional>
#include <optional>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include <fmt/format.h>

#include "../emitters/by_item.hpp"
#include "../emitters/pane_state.hpp"

namespace microbatch::inline v0_1 {

/// Which pairs a join gives.
enum class Joining : std::uint8_t {
  inner,  ///< those that match
  left,   ///< and every left item that nothing matched, alone
};

/// A left item and one that matched it; none where nothing did.
template <class L, class R>
struct Joined {
  L left;
  std::optional<R> right{};
};

/// How join() matches: a right item may happen from `from` until `to` (both included) after the
/// left one; negative is before it.
struct JoinRules {
  Duration from{};
  Duration to{};
  Joining joining = Joining::inner;
  EventTimeOptions event_time{};

  void check() const {
    constexpr Duration most = std::chrono::hours(24 * 365);
    if (from < -most || to > most || from > to)
      throw ConfigError(
          fmt::format("JoinRules: from must be at most to, both within a year, got from {} ns, to "
                      "{} ns",
                      from.count(), to.count()));
  }
};

/// Key and time of each side's items.
template <class LeftKey, class LeftTime, class RightKey, class RightTime>
struct JoinBy {
  LeftKey left_key;
  LeftTime left_time;
  RightKey right_key;
  RightTime right_time;
};
template <class LK, class LT, class RK, class RT>
JoinBy(LK, LT, RK, RT) -> JoinBy<LK, LT, RK, RT>;

namespace detail {

/// The join as hopping windows over both sides: of twice the stretch in which items can match, so
/// that every left item has one window which holds all that can match it.
inline HoppingShape join_shape(const JoinRules& rules) {
  rules.check();
  const Duration reach =
      std::max(Duration::zero(), -rules.from) + std::max(Duration::zero(), rules.to) + Duration(1);
  const Duration hop = std::max<Duration>(reach, std::chrono::milliseconds(1));
  return {{{2 * hop, hop}}};
}

template <class L, class R, class By>
class Join {
 public:
  using Item = std::variant<L, R>;
  using Result = Joined<L, R>;
  static constexpr bool keeps_state = false;
  static_assert(std::copy_constructible<L> && std::copy_constructible<R>,
                "microbatch: join copies the items that it pairs");

  Join(By by, const JoinRules& rules) : by_(std::move(by)), rules_(rules) {}

  template <class Out>
  void operator()(Window<Item>& window, Out&& out) {
    const EventTime first = window.event_bounds()->begin + std::max(Duration::zero(), -rules_.from);
    const EventTime last = first + join_shape(rules_).hop;
    std::vector<std::pair<EventTime, const R*>> rights;
    for (const Item& item : window)
      if (const R* right = std::get_if<right_index>(&item))
        rights.emplace_back(*to_event_time(std::invoke(by_.right_time, *right)), right);
    std::stable_sort(rights.begin(), rights.end(),
                     [](const auto& a, const auto& b) { return a.first < b.first; });
    for (const Item& item : window) {
      const L* left = std::get_if<0>(&item);
      if (left == nullptr) continue;
      const EventTime t = *to_event_time(std::invoke(by_.left_time, *left));
      if (t < first || t >= last) continue;  // another window's
      auto match = std::lower_bound(rights.begin(), rights.end(), t + rules_.from,
                                    [](const auto& r, EventTime from) { return r.first < from; });
      const bool any = match != rights.end() && match->first <= t + rules_.to;
      for (; match != rights.end() && match->first <= t + rules_.to; ++match)
        out(Result{*left, *match->second});
      if (!any && rules_.joining == Joining::left) out(Result{*left, {}});
    }
  }
  template <class Out>
  void finish(Out&&) {}

 private:
  static constexpr std::size_t right_index = 1;
  By by_;
  JoinRules rules_;
};

/// Key and time of an item of either side.
template <class By>
struct JoinKey {
  By by;
  template <class L, class R>
  auto operator()(const std::variant<L, R>& item) const {
    using K = StoredKey<std::invoke_result_t<decltype(by.left_key), const L&>>;
    static_assert(
        std::same_as<K, StoredKey<std::invoke_result_t<decltype(by.right_key), const R&>>>,
        "microbatch: join needs keys of the same type on both sides");
    return item.index() == 0 ? K(std::invoke(by.left_key, std::get<0>(item)))
                             : K(std::invoke(by.right_key, std::get<1>(item)));
  }
};
template <class By>
struct JoinTime {
  By by;
  template <class L, class R>
  std::optional<EventTime> operator()(const std::variant<L, R>& item) const {
    return item.index() == 0 ? to_event_time(std::invoke(by.left_time, std::get<0>(item)))
                             : to_event_time(std::invoke(by.right_time, std::get<1>(item)));
  }
};

}  // namespace detail
}  // namespace microbatch::inline v0_1
