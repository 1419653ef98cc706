#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace tune {

struct Point {
  double x = 0;
  double y = 0;
  std::string note;  ///< shown when one points at it
};

struct Series {
  enum class Look { line, dots, ring, dashes };

  std::string name;
  std::vector<Point> points;
  Look look = Look::line;
};

struct Axis {
  std::string label;
  bool logarithmic = false;
  std::vector<std::pair<double, std::string>> ticks{};  ///< empty: where they fall well
  std::optional<double> limit{};                        ///< a line across, at the target
};

/// One chart, of up to eight lines and kinds of dots. Series get colours in their order; a ring or
/// dashes stand out from all colours.
struct Chart {
  std::string id;
  std::string title;
  std::string text;  ///< what one sees in it
  Axis x;
  Axis y;
  std::vector<Series> series;
};

/// As an HTML figure with an inline SVG and a legend. Its colours are classes, see chart_style.
[[nodiscard]] std::string figure_of(const Chart& chart);

/// The style sheet of figures, for light and dark.
extern const char* const chart_style;

/// Text as it stands in HTML and XML.
[[nodiscard]] std::string escaped(const std::string& text);

}  // namespace tune
