#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <span>
#include <vector>

#include "workload.hpp"

namespace tune {

/// One call of the callback.
struct Call {
  Duration begin{};  ///< since the trace's start, as all times here
  Duration end{};
  std::size_t items = 0;
  bool by_count = false;  ///< the window was full; else it left by age
};

/// What happened when a trace went through a setting.
struct Run {
  std::vector<Duration> latencies;  ///< one per item, from its arrival to the end of its callback
  std::vector<Call> calls;
  Duration last_arrival{};
  Duration cpu{};            ///< of the process, without the producers' threads
  bool fell_behind = false;  ///< hopelessly: the rest of the trace was not played
};

/// The shares of items that latencies are told for.
inline constexpr std::array shares{0.0,  0.1,   0.2,   0.3,   0.4,   0.5,  0.6,  0.7,
                                   0.8,  0.85,  0.9,   0.93,  0.95,  0.97, 0.98, 0.985,
                                   0.99, 0.993, 0.995, 0.997, 0.998, 0.999};

/// The smallest of the sorted values that at least this share of them does not exceed (nearest
/// rank). `sorted` must not be empty.
template <class V>
[[nodiscard]] V percentile(std::span<const V> sorted, double share) {
  const auto rank =
      static_cast<std::size_t>(std::ceil(share * static_cast<double>(sorted.size()) - 1e-9));
  return sorted[std::clamp<std::size_t>(rank, 1, sorted.size()) - 1];
}

/// A run in numbers.
struct Figures {
  Setting setting;
  std::size_t items = 0;
  double throughput = 0;  ///< items per second through callbacks, while items arrived
  std::array<Duration, shares.size()> latencies{};  ///< by `shares`
  std::size_t median_window = 0;                    ///< items
  std::size_t largest_window = 0;
  double mean_window = 0;
  double by_count = 0;  ///< share of the windows that were full
  double load = 0;      ///< share of the workers' time that callbacks take
  Nanoseconds cost{};   ///< of callback, per item
  double cpu = 0;       ///< of one processor, without the producers
  bool fell_behind = false;

  [[nodiscard]] Duration latency(double share) const {
    const auto at = std::find(shares.begin(), shares.end(), share);
    return latencies.at(static_cast<std::size_t>(at - shares.begin()));
  }
  [[nodiscard]] Duration p50() const { return latency(0.5); }
  [[nodiscard]] Duration p99() const { return latency(0.99); }
  [[nodiscard]] Duration p999() const { return latency(0.999); }

  /// With a little time to spare: what has none falls behind in the end.
  [[nodiscard]] bool keeps_up() const { return !fell_behind && load <= 0.95; }
};

/// From the end of one callback to that of the last one before the arrivals end; where there are no
/// two, of the whole run.
[[nodiscard]] inline double throughput_of(const Run& run) {
  Duration first = Duration::max();
  Duration last{};
  std::size_t first_items = 0;
  std::size_t items = 0;
  for (const Call& call : run.calls) {
    if (call.end > run.last_arrival) continue;
    items += call.items;
    last = std::max(last, call.end);
    if (call.end < first) {
      first = call.end;
      first_items = call.items;
    }
  }
  if (last > first) return static_cast<double>(items - first_items) / Seconds(last - first).count();
  Duration end{};
  for (const Call& call : run.calls) end = std::max(end, call.end);
  return static_cast<double>(run.latencies.size()) / Seconds(end).count();
}

/// `run` is sorted on the way.
[[nodiscard]] inline Figures figures_of(const Setting& setting, Run& run) {
  Figures figures{
      .setting = setting, .items = run.latencies.size(), .fell_behind = run.fell_behind};
  if (run.latencies.empty() || run.calls.empty()) return figures;

  std::sort(run.latencies.begin(), run.latencies.end());
  for (std::size_t i = 0; i < shares.size(); ++i)
    figures.latencies[i] = percentile<Duration>(run.latencies, shares[i]);

  Duration busy{};
  Duration end{};
  std::size_t full = 0;
  std::vector<std::size_t> sizes;
  sizes.reserve(run.calls.size());
  for (const Call& call : run.calls) {
    busy += call.end - call.begin;
    end = std::max(end, call.end);
    full += call.by_count ? 1 : 0;
    sizes.push_back(call.items);
  }
  std::sort(sizes.begin(), sizes.end());
  const auto items = static_cast<double>(run.latencies.size());
  const auto windows = static_cast<double>(sizes.size());
  const double seconds = Seconds(end).count();
  figures.throughput = throughput_of(run);
  figures.median_window = percentile<std::size_t>(sizes, 0.5);
  figures.largest_window = sizes.back();
  figures.mean_window = items / windows;
  figures.by_count = static_cast<double>(full) / windows;
  figures.load = Seconds(busy).count() / (seconds * static_cast<double>(setting.workers));
  figures.cost = Nanoseconds(busy) / items;
  figures.cpu = Seconds(run.cpu).count() / seconds;
  return figures;
}

}  // namespace tune
