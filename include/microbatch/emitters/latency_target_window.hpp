#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>

#include "../concepts/emitter.hpp"
#include "check.hpp"
#include "tunable.hpp"

namespace microbatch::inline v0_1 {

namespace detail {

/// What a callback costs, learnt from the windows that it took: a fixed part and a part per item,
/// by linear regression in which a window counts half after some twenty others.
class CostModel {
 public:
  void learn(double items, double seconds) noexcept {
    const double error = samples_ > 0 ? std::abs(seconds - predict(items)) : 0.0;
    const double weight = std::max(forgetting, 1.0 / (1.0 + samples_));
    samples_ += 1.0;
    const double dx = items - mean_items_;
    const double dy = seconds - mean_seconds_;
    mean_items_ += weight * dx;
    mean_seconds_ += weight * dy;
    variance_ = (1 - weight) * (variance_ + weight * dx * dx);
    covariance_ = (1 - weight) * (covariance_ + weight * dx * dy);
    error_ += weight * (error - error_);
  }
  [[nodiscard]] bool knows() const noexcept { return samples_ > 0; }
  /// Seconds for a window of so many items.
  [[nodiscard]] double predict(double items) const noexcept { return fixed() + per_item() * items; }
  /// Between nothing and what it would be if there were no fixed part; that, while all windows have
  /// been alike.
  [[nodiscard]] double per_item() const noexcept {
    if (!knows()) return 0;
    const double most = mean_seconds_ / std::max(1.0, mean_items_);
    if (variance_ <= 1e-9) return most;
    return std::clamp(covariance_ / variance_, 0.0, most);
  }
  [[nodiscard]] double fixed() const noexcept { return mean_seconds_ - per_item() * mean_items_; }
  /// How far predictions are off, on average.
  [[nodiscard]] double error() const noexcept { return error_; }

 private:
  static constexpr double forgetting = 1.0 / 32;

  double samples_ = 0;
  double mean_items_ = 0;
  double mean_seconds_ = 0;
  double variance_ = 0;
  double covariance_ = 0;
  double error_ = 0;
};

}  // namespace detail

/// The largest windows with which every item is delivered within `target` of its arrival: a window
/// leaves when, any later, its oldest item would miss the target. How long the callback (and the
/// sink) will take for so many items it learns from the windows before. When even small windows
/// cannot hold the target, everything that is pending leaves whenever a worker is free, which is
/// what helps most.
///
/// Give the target that 99 of 100 items should hold; a few may miss it while the model learns, or
/// where the callback's time varies by itself. Needs arrival stamps: each append reads the clock
/// once.
///
///     LatencyTargetWindow{20ms}       a callback of 1 ms + 1 us per item, 1000 items a second:
///                                     windows of 19; at 100 000 items a second: of 1700
class LatencyTargetWindow {
 public:
  static constexpr bool needs_stamps = true;

  template <class Rep, class Period>
  explicit LatencyTargetWindow(std::chrono::duration<Rep, Period> target)
      : target_(detail::checked_interval("LatencyTargetWindow: target", target)) {}

  template <class T>
  Readiness window_ready(Pending<T>& pending, TimePoint now) const noexcept {
    if (pending.empty()) return {.reason = Reason::latency, .at_items = 1};
    const double target = seconds(target_.get());
    const double slack = target * slack_share;  // what being woken a little late may cost
    const double age = seconds(now - pending.stamp(0));
    const double cost = cost_.knows()
                            ? cost_.predict(static_cast<double>(pending.size())) + 2 * cost_.error()
                            : target / 2;
    const double left = target - slack - age - cost;
    if (left <= 0) return {.ready = true, .reason = Reason::latency};
    // Until then more items may come, each of which makes the callback longer.
    const double more = cost_.per_item() > 0 ? slack / 2 / cost_.per_item() : 1e9;
    return {.reason = Reason::latency,
            .at_items = pending.size() + 1 + static_cast<std::size_t>(std::min(more, 1e9)),
            .at = detail::later(now, std::max(detail::shortest_interval, duration(left)))};
  }

  template <class T>
  void on_commit(Window<T>& window) noexcept {
    if (window.attempt() == 1 && window.took() != Duration::max() && !window.empty())
      cost_.learn(static_cast<double>(window.size()), seconds(window.took()));
  }

  /// Takes effect for what is pending, too; any thread.
  template <class Rep, class Period>
  void set_target(std::chrono::duration<Rep, Period> target) {
    target_.set(detail::checked_interval("LatencyTargetWindow: target", target));
  }
  [[nodiscard]] Duration target() const noexcept { return target_.get(); }

  void on_retune(std::function<void()> f) { target_.on_change(std::move(f)); }

 private:
  static constexpr double slack_share = 0.04;

  static double seconds(Duration d) noexcept { return std::chrono::duration<double>(d).count(); }
  static Duration duration(double s) noexcept {
    return detail::to_duration(std::chrono::duration<double>(s));
  }

  detail::Tunable<Duration> target_;
  detail::CostModel cost_;
};

}  // namespace microbatch::inline v0_1
