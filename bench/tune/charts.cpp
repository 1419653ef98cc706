#include "charts.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <map>
#include <span>
#include <tuple>

#include "choose.hpp"
#include "table.hpp"

namespace tune {
namespace {

constexpr std::size_t most_series = 8;

double ms(Duration duration) { return Milliseconds(duration).count(); }

std::string note_of(const Figures& figures) {
  const Setting& setting = figures.setting;
  return fmt::format(
      "window {}, age {:.4g} ms, {} worker{}, capacity {}: p99 {:.4g} ms, {:.4g} "
      "us/item, load {:.0f} %",
      setting.window, ms(setting.age), setting.workers, setting.workers == 1 ? "" : "s",
      setting.capacity, ms(figures.p99()), Microseconds(figures.cost).count(), 100 * figures.load);
}

/// What is worth a place on the paper.
bool is_drawn(const Report& report, const Figures& figures) {
  return figures.keeps_up() && figures.p99() <= 8 * report.workload.target;
}

const Figures* recommended(const Report& report) {
  const auto at = std::find_if(report.grid.begin(), report.grid.end(), [&](const Figures& one) {
    return one.setting == report.recommended();
  });
  return at == report.grid.end() ? nullptr : &*at;
}

/// So many of the keys of a map, evenly spread, the first and the last among them.
template <class K, class V>
std::map<K, V> thinned(const std::map<K, V>& all) {
  std::map<K, V> some;
  const std::size_t n = std::min(all.size(), most_series);
  for (std::size_t i = 0; i < n; ++i)
    some.insert(*std::next(
        all.begin(), static_cast<std::ptrdiff_t>(n == 1 ? 0 : i * (all.size() - 1) / (n - 1))));
  return some;
}

Chart cost_chart(const Report& report) {
  Chart chart{.id = "chart-cost",
              .title = "Cost and latency of every setting",
              .text =
                  "Each dot is a setting, replayed. The cheapest left of the target is what one "
                  "looks for.",
              .x = {.label = "p99, ms", .logarithmic = true, .limit = ms(report.workload.target)},
              .y = {.label = "callback time, us per item", .logarithmic = true},
              .series = {}};
  std::map<std::size_t, Series> by_workers;
  for (const Figures& one : report.grid) {
    if (!is_drawn(report, one)) continue;
    Series& series = by_workers[one.setting.workers];
    series.look = Series::Look::dots;
    series.name =
        fmt::format("{} worker{}", one.setting.workers, one.setting.workers == 1 ? "" : "s");
    series.points.push_back({ms(one.p99()), Microseconds(one.cost).count(), note_of(one)});
  }
  for (auto& [workers, series] : by_workers) chart.series.push_back(std::move(series));
  if (const Figures* one = recommended(report))
    chart.series.push_back(
        {.name = "recommended",
         .points = {{ms(one->p99()), Microseconds(one->cost).count(), note_of(*one)}},
         .look = Series::Look::ring});
  return chart;
}

/// Of the settings with the same key, the one with just enough room.
using Sweep = std::map<double, const Figures*>;
void add(Sweep& sweep, double x, const Figures& one) {
  const Figures*& there = sweep[x];
  const auto rank = [](const Figures& f) {
    return std::tuple(!has_room(f.setting), f.setting.capacity);
  };
  if (there == nullptr || rank(one) < rank(*there)) there = &one;
}

std::vector<Point> points_of(const Sweep& sweep) {
  std::vector<Point> points;
  for (const auto& [x, one] : sweep) points.push_back({x, ms(one->p99()), note_of(*one)});
  return points;
}

/// The values that were combined with all others, and not only tried around the best.
template <class V>
std::vector<V> common(const Report& report, V Setting::*axis) {
  std::map<V, std::size_t> counts;
  for (const Figures& one : report.grid) ++counts[one.setting.*axis];
  std::size_t most = 0;
  for (const auto& [value, count] : counts) most = std::max(most, count);
  std::vector<V> values;
  for (const auto& [value, count] : counts)
    if (count * 4 >= most) values.push_back(value);
  return values;
}

template <class V>
V nearest(const std::vector<V>& values, V to) {
  return *std::min_element(values.begin(), values.end(), [&](V a, V b) {
    return (a > to ? a - to : to - a) < (b > to ? b - to : to - b);
  });
}

Chart window_chart(const Report& report) {
  const std::size_t workers =
      nearest(common(report, &Setting::workers), report.recommended().workers);
  Chart chart{
      .id = "chart-window",
      .title = "Window size and age",
      .text = fmt::format("Replayed with {} worker{}. Where a line is flat, windows leave by age "
                          "and a larger size changes nothing.",
                          workers, workers == 1 ? "" : "s"),
      .x = {.label = "window size, items", .logarithmic = true},
      .y = {.label = "p99, ms", .logarithmic = true, .limit = ms(report.workload.target)},
      .series = {}};
  std::map<Duration, Sweep> by_age;
  for (const Duration age : common(report, &Setting::age)) by_age[age];
  for (const Figures& one : report.grid)
    if (one.setting.workers == workers && by_age.contains(one.setting.age) && is_drawn(report, one))
      add(by_age[one.setting.age], static_cast<double>(one.setting.window), one);
  std::erase_if(by_age, [](const auto& entry) { return entry.second.empty(); });
  for (const auto& [age, sweep] : thinned(by_age))
    chart.series.push_back(
        {.name = fmt::format("age {:.4g} ms", ms(age)), .points = points_of(sweep)});
  if (const Figures* one = recommended(report))
    chart.series.push_back(
        {.name = "recommended",
         .points = {{static_cast<double>(one->setting.window), ms(one->p99()), note_of(*one)}},
         .look = Series::Look::ring});
  return chart;
}

Chart workers_chart(const Report& report) {
  const Duration age = nearest(common(report, &Setting::age), report.recommended().age);
  Chart chart{.id = "chart-workers",
              .title = "Workers",
              .text = fmt::format("Replayed with an age of {:.4g} ms. What is missing on the left "
                                  "cannot keep up.",
                                  ms(age)),
              .x = {.label = "workers"},
              .y = {.label = "p99, ms", .logarithmic = true, .limit = ms(report.workload.target)},
              .series = {}};
  std::map<std::size_t, Sweep> by_window;
  for (const std::size_t window : common(report, &Setting::window)) by_window[window];
  for (const Figures& one : report.grid)
    if (one.setting.age == age && by_window.contains(one.setting.window) && is_drawn(report, one))
      add(by_window[one.setting.window], static_cast<double>(one.setting.workers), one);
  std::erase_if(by_window, [](const auto& entry) { return entry.second.empty(); });
  for (const auto& [window, sweep] : thinned(by_window))
    chart.series.push_back({.name = fmt::format("window {}", window), .points = points_of(sweep)});
  return chart;
}

Chart capacity_chart(const Report& report) {
  // The setting for which most capacities were tried.
  std::map<std::tuple<std::size_t, Duration, std::size_t>, Sweep> sweeps;
  for (const Figures& one : report.grid)
    if (is_drawn(report, one))
      add(sweeps[{one.setting.window, one.setting.age, one.setting.workers}],
          static_cast<double>(one.setting.capacity), one);
  const auto widest = std::max_element(sweeps.begin(), sweeps.end(), [](auto& a, auto& b) {
    return a.second.size() < b.second.size();
  });
  Chart chart{.id = "chart-capacity",
              .title = "Capacity",
              .text = "",
              .x = {.label = "capacity, items", .logarithmic = true},
              .y = {.label = "latency, ms", .limit = ms(report.workload.target)},
              .series = {}};
  if (widest == sweeps.end()) return chart;
  const Setting& setting = widest->second.begin()->second->setting;
  chart.text = fmt::format(
      "Replayed with windows of {}, an age of {:.4g} ms and {} worker{}. With "
      "too little room producers wait, and items with them.",
      setting.window, ms(setting.age), setting.workers, setting.workers == 1 ? "" : "s");
  for (const auto& [name, share] : {std::pair{"p50", 0.5}, {"p99", 0.99}, {"p99.9", 0.999}}) {
    Series series{.name = name, .points = {}};
    for (const auto& [capacity, one] : widest->second)
      series.points.push_back({capacity, ms(one->latency(share)), note_of(*one)});
    chart.series.push_back(std::move(series));
  }
  return chart;
}

Chart latency_chart(const Report& report) {
  const auto place = [](double share) { return -std::log10(1 - share); };
  const auto curve = [&](const Figures& figures, std::string name, Series::Look look) {
    Series series{.name = std::move(name), .points = {}, .look = look};
    for (std::size_t i = 0; i < shares.size(); ++i)
      series.points.push_back({place(shares[i]), ms(figures.latencies[i]),
                               fmt::format("{:.4g} % of the items within {:.4g} ms",
                                           100 * shares[i], ms(figures.latencies[i]))});
    return series;
  };
  Chart chart{.id = "chart-latency",
              .title = "Latency on arrivals that it had not seen",
              .text =
                  "From the append of an item to the end of its callback: live on this machine, "
                  "and as the replay foretold it.",
              .x = {.label = "share of the items",
                    .ticks = {{place(0), "0 %"},
                              {place(0.5), "50 %"},
                              {place(0.9), "90 %"},
                              {place(0.99), "99 %"},
                              {place(0.999), "99.9 %"}}},
              .y = {.label = "latency, ms", .limit = ms(report.workload.target)},
              .series = {}};
  chart.series.push_back(curve(report.check.live, "recommended, live", Series::Look::line));
  chart.series.push_back(
      curve(report.check.replayed, "recommended, replayed", Series::Look::dashes));
  if (report.best && report.best->live.setting != report.recommended())
    chart.series.push_back(curve(report.best->live, "the grid's best, live", Series::Look::line));
  return chart;
}

Chart arrivals_chart(const Report& report) {
  Chart chart{.id = "chart-arrivals",
              .title = "Arrivals",
              .text = fmt::format("Those of the live check: {}.", report.unseen),
              .x = {.label = "time, s"},
              .y = {.label = "items per second"},
              .series = {{.name = "arrivals", .points = {}}}};
  for (std::size_t i = 0; i < report.arrivals.size(); ++i)
    chart.series[0].points.push_back(
        {(static_cast<double>(i) + 0.5) * report.arrivals_step.count(), report.arrivals[i], ""});
  return chart;
}

}  // namespace

std::vector<Chart> charts_of(const Report& report) {
  return {cost_chart(report),    latency_chart(report),  window_chart(report),
          workers_chart(report), capacity_chart(report), arrivals_chart(report)};
}

}  // namespace tune
