#pragma once

#include <fmt/format.h>

#include <chrono>
#include <cstdint>
#include <exception>
#include <functional>
#include <limits>

#include "../core/clock.hpp"
#include "../core/errors.hpp"
#include "../core/results.hpp"

namespace microbatch::inline v0_1 {

/// When a window that keeps failing is taken apart.
enum class Isolate : std::uint8_t {
  when_others_succeed,  ///< only with evidence that the callback works at all, so that an outage
                        ///< does not turn the stream into dead letters
  always,               ///< after max_attempts, evidence or not
  off,                  ///< after max_attempts the whole window is dead-lettered
};

/// What happens when a callback throws. The default: three attempts, 100 ms apart and doubling up
/// to 30 s, each delay shortened at random by up to half; then the window is halved until the item
/// that fails stands alone, and that one becomes a dead letter.
struct FailurePolicy {
  static constexpr std::uint32_t unbounded = std::numeric_limits<std::uint32_t>::max();

  std::uint32_t max_attempts = 3;  ///< of a whole window, before it is taken apart
  std::uint32_t max_transient_attempts = unbounded;  ///< of a transient failure, then dead letters
  Duration first_delay = std::chrono::milliseconds(100);
  Duration max_delay = std::chrono::seconds(30);
  double jitter = 0.5;  ///< a delay is drawn from [(1 - jitter) * d, d]
  Isolate isolate = Isolate::when_others_succeed;
  Duration recently = std::chrono::seconds(10);  ///< how long a success counts as evidence
  /// Default: TransientError is transient, everything else poison.
  std::function<Failure(const std::exception_ptr&)> classify{};

  [[nodiscard]] Failure classified(const std::exception_ptr& error) const {
    if (classify) return classify(error);
    try {
      std::rethrow_exception(error);
    } catch (const TransientError&) {
      return Failure::transient;
    } catch (...) {
      return Failure::poison;
    }
  }

  /// The delay after `failures` failures in a row (from 1); `random` in [0, 1).
  [[nodiscard]] Duration delay(std::uint32_t failures, double random) const noexcept {
    Duration d = first_delay;
    for (std::uint32_t i = 1; i < failures && d < max_delay; ++i)
      d = d > max_delay / 2 ? max_delay : d * 2;
    d = std::min(d, max_delay);
    return d -
           Duration(static_cast<Duration::rep>(static_cast<double>(d.count()) * jitter * random));
  }

  void check() const {
    if (max_attempts < 1) throw ConfigError("on_failure.max_attempts must be at least 1, got 0");
    if (max_transient_attempts < 1)
      throw ConfigError("on_failure.max_transient_attempts must be at least 1, got 0");
    if (first_delay < Duration::zero())
      throw ConfigError(fmt::format("on_failure.first_delay must not be negative, got {} ns",
                                    first_delay.count()));
    if (max_delay < first_delay)
      throw ConfigError(
          fmt::format("on_failure.max_delay must not be below first_delay ({} ns), got {} ns",
                      first_delay.count(), max_delay.count()));
    if (!(jitter >= 0 && jitter <= 1))
      throw ConfigError(fmt::format("on_failure.jitter must be from 0 to 1, got {}", jitter));
    if (recently < Duration::zero())
      throw ConfigError(
          fmt::format("on_failure.recently must not be negative, got {} ns", recently.count()));
  }
};

}  // namespace microbatch::inline v0_1
