#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <numeric>
#include <utility>
#include <vector>

#include "../core/backlog.hpp"
#include "../core/event_time.hpp"
#include "../core/key_map.hpp"
#include "check.hpp"

namespace microbatch::inline v0_1::detail {

/// Windows of `size`, one every `hop`, of which one begins at an origin.
struct WindowGrid {
  Duration size;
  Duration hop;

  /// Begin of the last window that holds t.
  [[nodiscard]] EventTime last_window(EventTime t, EventTime origin) const noexcept {
    return origin + floor_div(t - origin, hop) * hop;
  }
  /// Begin of the first window that holds t.
  [[nodiscard]] EventTime first_window(EventTime t, EventTime origin) const noexcept {
    return origin + (floor_div(t - size - origin, hop) + 1) * hop;
  }
  /// End of the last window that is over at t.
  [[nodiscard]] EventTime last_over(EventTime t, EventTime origin) const noexcept {
    return first_window(t, origin) - hop + size;
  }
};

/// Windows made of panes, the longest stretches that no window begins or ends within.
struct PaneShape : WindowGrid {
  /// With panes as windows: for so many panes from the last one with items on, an empty window
  /// without a key tells that the pane is over. 0: none.
  std::int64_t closings = 0;
  WindowGrid whole{};  ///< and the windows that these panes make up

  [[nodiscard]] Duration pane() const noexcept {
    return Duration(std::gcd(size.count(), hop.count()));
  }
  /// End of the last window that wants the items of a pane.
  [[nodiscard]] EventTime wanted_until(EventTime pane, EventTime origin) const noexcept {
    const WindowGrid& windows = closings > 0 ? whole : *this;
    return windows.last_window(pane, origin) + windows.size;
  }
};

/// Windows that overlap; those who add up do so by pane.
struct HoppingShape : PaneShape {
  [[nodiscard]] PaneShape panes() const noexcept {
    return {{pane(), pane()}, size / pane(), *this};
  }
};

/// The items of one pane: a bucket per key.
template <class K>
struct Pane {
  EventBounds bounds;
  EventTime last_end;  // of the last window that it is in
  KeyMap<K, BucketId> buckets;
};

/// Panes by time, few of them, and the memory of those that are over.
template <class K>
class PaneStore {
 public:
  using Panes = std::vector<std::unique_ptr<Pane<K>>>;

  /// The pane with these bounds, made if it is not there.
  Pane<K>& at(Panes& panes, const EventBounds& bounds, EventTime last_end) {
    auto place =
        std::lower_bound(panes.begin(), panes.end(), bounds.begin,
                         [](const auto& pane, EventTime b) { return pane->bounds.begin < b; });
    if (place == panes.end() || (*place)->bounds.begin != bounds.begin) {
      std::unique_ptr<Pane<K>> pane;
      if (spare_.empty()) {
        pane = std::make_unique<Pane<K>>();
      } else {
        pane = std::move(spare_.back());
        spare_.pop_back();
      }
      pane->bounds = bounds;
      pane->last_end = last_end;
      place = panes.insert(place, std::move(pane));
    }
    return **place;
  }
  void recycle(std::unique_ptr<Pane<K>> pane) {
    pane->buckets.clear();
    spare_.push_back(std::move(pane));
  }

 private:
  Panes spare_;
};

}  // namespace microbatch::inline v0_1::detail
