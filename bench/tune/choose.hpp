#pragma once

#include <span>
#include <tuple>

#include "figures.hpp"

namespace tune {

/// It keeps up, and 99 items in 100 are through by then.
[[nodiscard]] inline bool meets(const Figures& figures, Duration limit) {
  return figures.keeps_up() && figures.p99() <= limit;
}

/// Of those that meet the limit, the one with the least callback time per item; null if none does.
[[nodiscard]] inline const Figures* cheapest(std::span<const Figures> all, Duration limit) {
  const Figures* best = nullptr;
  for (const Figures& one : all)
    if (meets(one, limit) && (best == nullptr || one.cost < best->cost)) best = &one;
  return best;
}

/// Room for a window in each worker's hands and for the one that fills.
[[nodiscard]] inline bool has_room(const Setting& setting) {
  return setting.capacity >= setting.window * (setting.workers + 1);
}

/// The simplest of those that cost at most 2 % more than the cheapest: the one with the fewest
/// workers, then with room for its windows, then the smallest capacity, then the lowest 99th
/// percentile.
[[nodiscard]] inline const Figures* choose(std::span<const Figures> all, Duration limit) {
  const Figures* best = cheapest(all, limit);
  if (best == nullptr) return nullptr;
  const Nanoseconds most = best->cost * 1.02;
  const auto rank = [](const Figures& figures) {
    const Setting& setting = figures.setting;
    return std::tuple(setting.workers, !has_room(setting), setting.capacity, figures.p99());
  };
  for (const Figures& one : all)
    if (meets(one, limit) && one.cost <= most && rank(one) < rank(*best)) best = &one;
  return best;
}

/// What comes nearest where nothing meets the limit: what keeps up, with the lowest 99th
/// percentile. `all` must not be empty.
[[nodiscard]] inline const Figures& fastest(std::span<const Figures> all) {
  const auto rank = [](const Figures& figures) {
    return std::tuple(figures.fell_behind, !figures.keeps_up(), figures.p99());
  };
  const Figures* best = &all.front();
  for (const Figures& one : all)
    if (rank(one) < rank(*best)) best = &one;
  return *best;
}

}  // namespace tune
