#pragma once

#include <chrono>
#include <functional>

namespace microbatch::inline v0_1 {

using Duration = std::chrono::nanoseconds;
using TimePoint = std::chrono::time_point<std::chrono::steady_clock, Duration>;

inline constexpr TimePoint never = TimePoint::max();

/// Where a stream reads the time for stamps, windows and retries. Time points are steady: nothing
/// in the library depends on the wall clock.
class Clock {
 public:
  virtual ~Clock() = default;

  [[nodiscard]] virtual TimePoint now() const noexcept = 0;

  /// Calls `moved` whenever the time was changed by hand, until unsubscribe(key). A clock that runs
  /// by itself has nothing to tell.
  virtual void subscribe(const void* /*key*/, std::function<void()> /*moved*/) {}
  virtual void unsubscribe(const void* /*key*/) noexcept {}

  /// True where a thread can sleep until a time point of this clock.
  [[nodiscard]] virtual bool runs_by_itself() const noexcept { return true; }
};

/// std::chrono::steady_clock as a Clock; lives as long as the process.
[[nodiscard]] Clock& steady_clock() noexcept;

namespace detail {

/// t + d without overflow: what lies beyond the end of time is `never`.
[[nodiscard]] constexpr TimePoint later(TimePoint t, Duration d) noexcept {
  if (d <= Duration::zero()) return t;
  return t >= never - d ? never : t + d;
}

/// The caller's duration in nanoseconds, the longest one where it does not fit.
template <class Rep, class Period>
[[nodiscard]] constexpr Duration to_duration(std::chrono::duration<Rep, Period> d) noexcept {
  using Seconds = std::chrono::duration<long double>;
  if (std::chrono::duration_cast<Seconds>(d) >=
      std::chrono::duration_cast<Seconds>(Duration::max()))
    return Duration::max();
  if (std::chrono::duration_cast<Seconds>(d) <=
      std::chrono::duration_cast<Seconds>(Duration::min()))
    return Duration::min();
  return std::chrono::duration_cast<Duration>(d);
}

}  // namespace detail
}  // namespace microbatch::inline v0_1
