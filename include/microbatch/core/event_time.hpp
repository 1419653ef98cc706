#pragma once

#include <chrono>
#include <concepts>
#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <type_traits>
#include <utility>

#include "clock.hpp"

namespace microbatch::inline v0_1 {

/// When something happened, by the clock of whoever saw it happen: nanoseconds since 1970. Nothing
/// in the library compares it with the steady clock's TimePoint.
using EventTime = std::chrono::sys_time<Duration>;

/// Half open: [begin, end).
struct EventBounds {
  EventTime begin{};
  EventTime end{};

  friend bool operator==(const EventBounds&, const EventBounds&) = default;
};

namespace detail {

/// Beyond it a time is no time: windows and lateness can be added to whatever is below.
inline constexpr EventTime latest_event{Duration{std::numeric_limits<std::int64_t>::max() / 2}};

inline std::optional<EventTime> usable(Duration since_1970) noexcept {
  if (since_1970 < Duration::zero() || since_1970 > latest_event.time_since_epoch()) return {};
  return EventTime(since_1970);
}

/// Whole units of a coarser (or finer) clock as an event time; none where it is before 1970 or
/// after 2116, which says that somebody's clock was never set.
template <class Rep, class Period>
std::optional<EventTime> to_event_time(std::chrono::duration<Rep, Period> d) noexcept {
  if constexpr (std::integral<Rep> && std::ratio_less_equal_v<std::nano, Period>) {
    using Unit = std::chrono::duration<std::int64_t, Period>;
    constexpr auto most = std::chrono::duration_cast<Unit>(latest_event.time_since_epoch()).count();
    if (d.count() < 0 || static_cast<std::uint64_t>(d.count()) > static_cast<std::uint64_t>(most))
      return {};
    return EventTime(std::chrono::duration_cast<Duration>(d));
  } else {
    using Seconds = std::chrono::duration<double>;
    const Seconds s(d);
    if (!(s >= Seconds::zero() && s <= Seconds(latest_event.time_since_epoch())))
      return {};  // nor is it one that is not a number
    return usable(to_duration(d));
  }
}
template <class D>
std::optional<EventTime> to_event_time(std::chrono::sys_time<D> t) noexcept {
  return to_event_time(t.time_since_epoch());
}
template <class V>
std::optional<EventTime> to_event_time(const std::optional<V>& v) noexcept {
  return v ? to_event_time(*v) : std::nullopt;
}

template <class V>
concept EventTimeLike = requires(const V& v) {
  { to_event_time(v) } -> std::same_as<std::optional<EventTime>>;
};

/// A function from a const item to a time: a std::chrono::sys_time or a duration since 1970, or an
/// optional of one.
template <class F, class T>
concept TimestampOf = requires(F& f, const T& item) {
  { std::invoke(f, item) } -> EventTimeLike;
};

}  // namespace detail
}  // namespace microbatch::inline v0_1
