#include "picture.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <fstream>
#include <iterator>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "work.hpp"

namespace contest {
namespace {

constexpr double names_width = 205;
constexpr double panel_width = 230;
constexpr double gap = 40;
constexpr double top = 64;
constexpr double line_height = 26;
constexpr double bottom = 46;

// M items/s; the scale is logarithmic, as the contenders are a hundredfold apart.
constexpr double least = 1;
constexpr double most = 1000;
constexpr std::array ticks{1, 10, 100, 1000};

// From few producers to many: from light to dark, and from small to large.
constexpr std::array shades{"#9fd3cd", "#4fb0a5", "#128277", "#063f3a"};

constexpr std::string_view style = R"(
text { font: 13px system-ui, sans-serif; fill: #3a4250; }
.title { font-weight: 600; fill: #11161d; }
.ours { font-weight: 600; fill: #063f3a; }
.grid { stroke: #e3e6eb; }
.reach { stroke: #b9c0ca; stroke-width: 2; }
)";

struct Line {
  std::string contender;
  double best = 0;  // M items/s, of the smallest items
};

std::optional<double> millions(const Results& results, const std::string& contender,
                               std::size_t producers, std::size_t bytes) {
  const auto spread = results.of({"throughput", contender, producers, bytes});
  if (!spread) return std::nullopt;
  return spread->median / 1e6;
}

/// The fastest first.
std::vector<Line> lines_of(const Results& results) {
  std::vector<Line> lines;
  for (const auto& row : results.rows()) {
    if (row.cell.metric != "throughput" || row.cell.window != usual_window) continue;
    auto line = std::ranges::find(lines, row.cell.contender, &Line::contender);
    if (line == lines.end()) line = lines.insert(lines.end(), Line{row.cell.contender});
    if (row.cell.item_bytes == item_sizes[0])
      line->best = std::max(line->best, spread(row.rounds).median / 1e6);
  }
  std::ranges::stable_sort(lines, std::ranges::greater{}, &Line::best);
  return lines;
}

double place(double value) {
  const double share = std::log(std::clamp(value, least, most) / least) / std::log(most / least);
  return share * panel_width;
}

std::string panel(const Results& results, const std::vector<Line>& lines, std::size_t bytes,
                  double left) {
  const double floor = top + line_height * static_cast<double>(lines.size());
  std::string svg =
      fmt::format("<text class='title' x='{}' y='{}'>{} bytes</text>\n", left, top - 14, bytes);
  for (const int tick : ticks) {
    const double x = left + place(tick);
    svg += fmt::format("<path class='grid' d='M{0:.1f} {1}V{2}'/>", x, top - 4, floor);
    svg += fmt::format("<text x='{:.1f}' y='{}' text-anchor='middle'>{}</text>\n", x, floor + 18,
                       tick);
  }
  double y = top + line_height / 2;
  for (const auto& line : lines) {
    std::string dots;
    double from = panel_width;
    double to = 0;
    for (std::size_t i = 0; i < std::size(producer_counts); ++i) {
      const auto value = millions(results, line.contender, producer_counts[i], bytes);
      if (!value) continue;
      const double x = place(*value);
      from = std::min(from, x);
      to = std::max(to, x);
      dots += fmt::format(
          "<circle cx='{:.1f}' cy='{}' r='{}' fill='{}'><title>{}, {} producers: {:.3g} M "
          "items/s</title></circle>\n",
          left + x, y, 4 + 0.6 * static_cast<double>(i), shades[i], line.contender,
          producer_counts[i], *value);
    }
    if (!dots.empty())
      svg +=
          fmt::format("<path class='reach' d='M{:.1f} {}H{:.1f}'/>\n", left + from, y, left + to);
    svg += dots;
    y += line_height;
  }
  return svg;
}

std::string names(const std::vector<Line>& lines) {
  std::string svg;
  double y = top + line_height / 2 + 4.5;
  for (const auto& line : lines) {
    svg += fmt::format("<text{} x='{}' y='{}' text-anchor='end'>{}</text>\n",
                       line.contender.starts_with("microbatch") ? " class='ours'" : "",
                       names_width - 14, y, line.contender);
    y += line_height;
  }
  return svg;
}

std::string key() {
  std::string svg = fmt::format(
      "<text x='{}' y='22'>M items/s, append to callback, windows of {}; producers</text>\n",
      names_width, usual_window);
  double x = names_width + 400;
  for (std::size_t i = 0; i < std::size(producer_counts); ++i) {
    svg += fmt::format("<circle cx='{}' cy='18' r='{}' fill='{}'/><text x='{}' y='22'>{}</text>\n",
                       x, 4 + 0.6 * static_cast<double>(i), shades[i], x + 11, producer_counts[i]);
    x += 40;
  }
  return svg;
}

}  // namespace

void draw_throughput(const Results& results, const std::string& path) {
  const auto lines = lines_of(results);
  const auto panels = static_cast<double>(std::size(item_sizes));
  const double width = names_width + panels * (panel_width + gap);
  const double height = top + line_height * static_cast<double>(lines.size()) + bottom;

  std::ofstream file(path);
  file << fmt::format(
      "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {0} {1}' width='{0}' height='{1}'>\n"
      "<style>{2}</style>\n<rect width='100%' height='100%' fill='white'/>\n",
      width, height, style);
  file << key() << names(lines);
  double left = names_width;
  for (const std::size_t bytes : item_sizes) {
    file << panel(results, lines, bytes, left);
    left += panel_width + gap;
  }
  file << "</svg>\n";
  file.close();
  if (!file) throw std::runtime_error(fmt::format("{}: cannot be written", path));
}

}  // namespace contest
