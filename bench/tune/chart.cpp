#include "chart.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string_view>

namespace tune {

const char* const chart_style = R"(
:root { --c0: hsl(172 80% 30%); --c1: hsl(200 85% 40%); --c2: hsl(222 75% 52%);
  --c3: hsl(258 60% 58%); --c4: hsl(290 55% 48%); --c5: hsl(325 70% 45%); --c6: hsl(10 75% 45%);
  --c7: hsl(40 90% 36%); --limit: hsl(0 75% 45%); --grid: hsl(220 15% 88%); }
@media (prefers-color-scheme: dark) {
  :root { --c0: hsl(172 60% 50%); --c1: hsl(200 80% 60%); --c2: hsl(222 90% 72%);
    --c3: hsl(258 85% 78%); --c4: hsl(290 65% 72%); --c5: hsl(325 75% 70%); --c6: hsl(10 85% 67%);
    --c7: hsl(42 80% 60%); --limit: hsl(0 90% 68%); --grid: hsl(220 12% 26%); }
}
figure { margin: 0; }
figcaption { font-size: .875rem; color: var(--soft); min-height: 4.5em; }
figcaption b { display: block; font-size: 1rem; color: var(--ink); }
svg { width: 100%; height: auto; display: block; }
svg text { font: 12px system-ui, sans-serif; fill: var(--soft); }
@media (max-width: 32rem) { svg text { font-size: 13.5px; } }
svg .grid { stroke: var(--grid); fill: none; }
svg .axis { stroke: var(--soft); fill: none; }
svg .limit { stroke: var(--limit); stroke-dasharray: 6 4; stroke-width: 1.5; }
svg text.limit-name { fill: var(--limit); stroke: var(--paper); stroke-width: 3px;
  paint-order: stroke; }
svg .line { fill: none; stroke-width: 1.8; stroke-linejoin: round; }
svg .dashes { fill: none; stroke: var(--ink); stroke-width: 1.8; stroke-dasharray: 3 3; }
svg .ring { fill: none; stroke: var(--ink); stroke-width: 2.2; }
.s0 { stroke: var(--c0); } .s1 { stroke: var(--c1); } .s2 { stroke: var(--c2); }
.s3 { stroke: var(--c3); } .s4 { stroke: var(--c4); } .s5 { stroke: var(--c5); }
.s6 { stroke: var(--c6); } .s7 { stroke: var(--c7); }
.d0 { fill: var(--c0); } .d1 { fill: var(--c1); } .d2 { fill: var(--c2); }
.d3 { fill: var(--c3); } .d4 { fill: var(--c4); } .d5 { fill: var(--c5); }
.d6 { fill: var(--c6); } .d7 { fill: var(--c7); }
ul.legend { list-style: none; margin: .25rem 0 0; padding: 0; display: flex; flex-wrap: wrap;
  gap: .15rem .9rem; font-size: .8125rem; color: var(--soft); }
ul.legend svg { display: inline-block; width: 22px; height: 12px; margin-right: .3rem; }
)";

namespace {

constexpr double width = 460;
constexpr double height = 290;
constexpr double left = 58;
constexpr double right = 22;
constexpr double top = 16;
constexpr double bottom = 44;

using Ticks = std::vector<std::pair<double, std::string>>;

std::string short_number(double value) {
  const double size = std::abs(value);
  if (size >= 1e6) return fmt::format("{:.4g}M", value / 1e6);
  if (size >= 1e4) return fmt::format("{:.4g}k", value / 1e3);
  return fmt::format("{:.4g}", value);
}

Ticks even_ticks(double least, double most) {
  const double rough = (most - least) / 5;
  const double decade = std::pow(10, std::floor(std::log10(rough)));
  double step = decade;
  for (const double factor : {1.0, 2.0, 5.0, 10.0})
    if (decade * factor >= rough) {
      step = decade * factor;
      break;
    }
  Ticks ticks;
  for (double at = std::ceil(least / step) * step; at <= most * (1 + 1e-9); at += step)
    ticks.emplace_back(at, short_number(std::abs(at) < step / 1e6 ? 0 : at));
  return ticks;
}

Ticks logarithmic_ticks(double least, double most) {
  std::vector<double> steps{1, 2, 5};
  if (most / least > 1e3) steps = {1};
  Ticks ticks;
  for (double decade = std::pow(10, std::floor(std::log10(least))); decade <= most; decade *= 10)
    for (const double step : steps)
      if (decade * step >= least * 0.999 && decade * step <= most * 1.001)
        ticks.emplace_back(decade * step, short_number(decade * step));
  return ticks.size() < 2 ? even_ticks(least, most) : ticks;
}

/// From the values of an axis to places on the paper.
class Scale {
 public:
  Scale(const Axis& axis, const Chart& chart, double Point::*coordinate, double from, double to)
      : logarithmic_(axis.logarithmic), from_(from), to_(to) {
    double least = INFINITY;
    double most = -INFINITY;
    const auto include = [&](double value) {
      least = std::min(least, value);
      most = std::max(most, value);
    };
    for (const Series& series : chart.series)
      for (const Point& point : series.points) include(point.*coordinate);
    if (axis.limit) include(*axis.limit);
    for (const auto& tick : axis.ticks) include(tick.first);
    if (least > most) include(least = most = 1);
    if (logarithmic_) {
      least_ = least / 1.1;
      most_ = most * 1.1;
    } else {
      least_ = axis.ticks.empty() ? std::min(0.0, least) : least;
      most_ = axis.ticks.empty() ? most * 1.06 : most;
    }
    if (most_ <= least_) most_ = least_ + 1;
    ticks_ = !axis.ticks.empty() ? axis.ticks
             : logarithmic_      ? logarithmic_ticks(least_, most_)
                                 : even_ticks(least_, most_);
  }
  [[nodiscard]] double operator()(double value) const {
    const double share = logarithmic_ ? std::log(value / least_) / std::log(most_ / least_)
                                      : (value - least_) / (most_ - least_);
    return from_ + share * (to_ - from_);
  }
  [[nodiscard]] const Ticks& ticks() const { return ticks_; }

 private:
  bool logarithmic_;
  double from_;
  double to_;
  double least_ = 0;
  double most_ = 1;
  Ticks ticks_;
};

std::string axes_of(const Chart& chart, const Scale& x, const Scale& y) {
  std::string svg;
  double free_from = -INFINITY;  // labels must not run into each other
  for (const auto& [value, label] : x.ticks()) {
    svg += fmt::format("<line class=\"grid\" x1=\"{0:.1f}\" x2=\"{0:.1f}\" y1=\"{1}\" y2=\"{2}\"/>",
                       x(value), top, height - bottom);
    const double half = 3.6 * static_cast<double>(label.size());
    if (x(value) - half < free_from) continue;
    free_from = x(value) + half + 4;
    svg += fmt::format("<text x=\"{:.1f}\" y=\"{}\" text-anchor=\"middle\">{}</text>", x(value),
                       height - bottom + 16, escaped(label));
  }
  double free_below = INFINITY;
  for (const auto& [value, label] : y.ticks()) {
    svg += fmt::format("<line class=\"grid\" x1=\"{1}\" x2=\"{2}\" y1=\"{0:.1f}\" y2=\"{0:.1f}\"/>",
                       y(value), left, width - right);
    if (y(value) > free_below) continue;
    free_below = y(value) - 13;
    svg += fmt::format("<text x=\"{}\" y=\"{:.1f}\" text-anchor=\"end\">{}</text>", left - 6,
                       y(value) + 4, escaped(label));
  }
  svg += fmt::format("<path class=\"axis\" d=\"M{} {}V{}H{}\"/>", left, top, height - bottom,
                     width - right);
  svg += fmt::format("<text class=\"label\" x=\"{}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
                     (left + width - right) / 2, height - 8, escaped(chart.x.label));
  svg += fmt::format(
      "<text class=\"label\" transform=\"translate(13 {}) rotate(-90)\" text-anchor=\"middle\">{}"
      "</text>",
      (top + height - bottom) / 2, escaped(chart.y.label));
  if (chart.x.limit)
    svg += fmt::format(
        "<line class=\"limit\" x1=\"{0:.1f}\" x2=\"{0:.1f}\" y1=\"{1}\" y2=\"{2}\"/>"
        "<text class=\"limit-name\" x=\"{0:.1f}\" y=\"{3}\" text-anchor=\"middle\">target</text>",
        x(*chart.x.limit), top, height - bottom, top - 4);
  if (chart.y.limit)
    svg += fmt::format(
        "<line class=\"limit\" x1=\"{1}\" x2=\"{2}\" y1=\"{0:.1f}\" y2=\"{0:.1f}\"/>"
        "<text class=\"limit-name\" x=\"{2}\" y=\"{3:.1f}\" text-anchor=\"end\">target</text>",
        y(*chart.y.limit), left, width - right, y(*chart.y.limit) - 4);
  return svg;
}

std::string note_of(const Point& point) {
  return point.note.empty() ? "" : fmt::format("<title>{}</title>", escaped(point.note));
}

std::string dot(double x, double y, double radius, std::size_t colour, const Point& point) {
  return fmt::format("<circle class=\"d{}\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"{}\">{}</circle>",
                     colour, x, y, radius, note_of(point));
}

std::string marks_of(const Series& series, std::size_t colour, const Scale& x, const Scale& y) {
  std::string svg;
  const bool is_line = series.look == Series::Look::line;
  if ((is_line || series.look == Series::Look::dashes) && series.points.size() > 1) {
    svg += fmt::format("<polyline class=\"{}\" points=\"",
                       is_line ? fmt::format("line s{}", colour) : std::string("dashes"));
    for (const Point& point : series.points)
      svg += fmt::format("{:.1f},{:.1f} ", x(point.x), y(point.y));
    svg += "\"/>";
  }
  for (const Point& point : series.points) {
    if (series.look == Series::Look::ring)
      svg += fmt::format("<circle class=\"ring\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"7\">{}</circle>",
                         x(point.x), y(point.y), note_of(point));
    else if (is_line && series.points.size() <= 30)
      svg += dot(x(point.x), y(point.y), 2.8, colour, point);
    else if (series.look == Series::Look::dots)
      svg += dot(x(point.x), y(point.y), 2.8, colour, point);
  }
  return svg;
}

std::string swatch(Series::Look look, std::size_t colour) {
  switch (look) {
    case Series::Look::line:
      return fmt::format("<path class=\"line s{}\" d=\"M1 6H21\"/>", colour);
    case Series::Look::dashes:
      return "<path class=\"dashes\" d=\"M1 6H21\"/>";
    case Series::Look::ring:
      return "<circle class=\"ring\" cx=\"11\" cy=\"6\" r=\"4.5\"/>";
    case Series::Look::dots:
      break;
  }
  return fmt::format("<circle class=\"d{}\" cx=\"11\" cy=\"6\" r=\"4\"/>", colour);
}

}  // namespace

std::string escaped(const std::string& text) {
  std::string result;
  for (const char c : text) {
    switch (c) {
      case '&':
        result += "&amp;";
        break;
      case '<':
        result += "&lt;";
        break;
      case '>':
        result += "&gt;";
        break;
      case '"':
        result += "&quot;";
        break;
      default:
        result += c;
    }
  }
  return result;
}

std::string figure_of(const Chart& chart) {
  const Scale x(chart.x, chart, &Point::x, left, width - right);
  const Scale y(chart.y, chart, &Point::y, height - bottom, top);
  std::string marks;
  std::string legend;
  const auto is_coloured = [](const Series& series) {
    return series.look == Series::Look::line || series.look == Series::Look::dots;
  };
  const auto coloured = static_cast<std::size_t>(
      std::count_if(chart.series.begin(), chart.series.end(), is_coloured));
  std::size_t number = 0;
  for (const Series& series : chart.series) {
    // Spread over the eight colours.
    const std::size_t used =
        is_coloured(series) ? number++ * 7 / std::max<std::size_t>(1, coloured - 1) % 8 : 0;
    marks += marks_of(series, used, x, y);
    legend += fmt::format("<li><svg viewBox=\"0 0 22 12\" aria-hidden=\"true\">{}</svg>{}</li>",
                          swatch(series.look, used), escaped(series.name));
  }
  return fmt::format(
      "<figure id=\"{}\">\n<figcaption><b>{}</b>{}</figcaption>\n"
      "<svg viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{}\">{}{}</svg>\n"
      "<ul class=\"legend\">{}</ul>\n</figure>\n",
      chart.id, escaped(chart.title), escaped(chart.text), width, height, escaped(chart.title),
      axes_of(chart, x, y), marks, legend);
}

}  // namespace tune
