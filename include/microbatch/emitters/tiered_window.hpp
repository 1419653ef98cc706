#pragma once

#include <fmt/format.h>

#include <cstddef>
#include <initializer_list>
#include <memory>
#include <utility>
#include <vector>

#include "../concepts/emitter.hpp"
#include "check.hpp"

namespace microbatch::inline v0_1 {

/// So many items are enough once the oldest has waited for so long.
struct Tier {
  std::size_t items = 1;
  Duration after{};
};

/// A window when any of its tiers is reached, with everything that is pending: many items soon, few
/// items later. A count of its own bounds the window: any_of(TieredWindow{...}, CountWindow{1000}).
///
/// Needs arrival stamps. Errors: ConfigError where there is no tier, or one is not both fewer and
/// later than the one before it.
///
///     TieredWindow{{100, 1s}, {10, 5s}, {1, 10s}}    100 items after 1 s, or 10 after 5 s, or ...
class TieredWindow {
 public:
  static constexpr bool needs_stamps = true;

  TieredWindow(std::initializer_list<Tier> tiers) : TieredWindow(std::vector<Tier>(tiers)) {}
  explicit TieredWindow(std::vector<Tier> tiers)
      : tiers_(std::make_shared<const std::vector<Tier>>(checked(std::move(tiers)))) {}

  template <class T>
  Readiness window_ready(Pending<T>& pending, TimePoint now) const noexcept {
    Readiness readiness{.reason = Reason::age};
    if (pending.empty()) {
      readiness.at_items = 1;
      return readiness;
    }
    // Tiers that are reached want fewer and fewer items; the next one is a reason to ask again.
    for (const Tier& tier : *tiers_) {
      const TimePoint due = detail::later(pending.stamp(0), tier.after);
      if (due > now) {
        readiness.at = due;
        break;
      }
      readiness.at_items = tier.items;
    }
    readiness.ready = readiness.at_items != npos && pending.size() >= readiness.at_items;
    return readiness;
  }

 private:
  static std::vector<Tier> checked(std::vector<Tier> tiers) {
    if (tiers.empty())
      throw ConfigError("TieredWindow: no tiers; expected at least one, such as {100, 1s}");
    for (std::size_t i = 0; i < tiers.size(); ++i) {
      detail::checked_size("TieredWindow: items", tiers[i].items);
      if (tiers[i].after < Duration::zero())
        throw ConfigError(fmt::format("TieredWindow: after must not be negative, got {} ns",
                                      tiers[i].after.count()));
      if (i > 0 && (tiers[i].items >= tiers[i - 1].items || tiers[i].after <= tiers[i - 1].after))
        throw ConfigError(fmt::format(
            "TieredWindow: {} items after {} ns follow {} items after {} ns; expected fewer items "
            "after a longer time",
            tiers[i].items, tiers[i].after.count(), tiers[i - 1].items,
            tiers[i - 1].after.count()));
    }
    return tiers;
  }

  std::shared_ptr<const std::vector<Tier>> tiers_;
};

}  // namespace microbatch::inline v0_1
