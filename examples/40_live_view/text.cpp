#include "text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

std::string sparkline(std::span<const double> values) {
  constexpr std::array<std::string_view, 9> blocks{" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
  const double most = values.empty() ? 0 : *std::max_element(values.begin(), values.end());
  std::string line;
  for (const double value : values) {
    const double share = most > 0 ? value / most : 0;
    // What is there is seen, however little it is.
    line += blocks[static_cast<std::size_t>(std::ceil(std::clamp(share, 0.0, 1.0) * 8))];
  }
  return line;
}

namespace {

std::string scaled(double value, double step, std::span<const std::string_view> units) {
  std::size_t unit = 0;
  while (value >= step && unit + 1 < units.size()) {
    value /= step;
    ++unit;
  }
  if (unit == 0 && value == std::floor(value)) return fmt::format("{:.0f}{}", value, units[0]);
  const int digits = value < 10 ? 2 : value < 100 ? 1 : 0;
  return fmt::format("{:.{}f}{}", value, digits, units[unit]);
}

}  // namespace

std::string short_number(double value) {
  constexpr std::array<std::string_view, 5> units{"", " k", " M", " G", " T"};
  return scaled(value, 1000, units);
}

std::string short_time(double nanoseconds) {
  constexpr std::array<std::string_view, 4> units{" ns", " us", " ms", " s"};
  return scaled(nanoseconds, 1000, units);
}

std::string cut_to(std::string_view text, std::size_t columns) {
  std::size_t end = 0;
  for (std::size_t seen = 0; end < text.size(); ++end) {
    const bool begins = (static_cast<unsigned char>(text[end]) & 0xC0) != 0x80;
    if (begins && seen++ == columns) break;
  }
  return std::string(text.substr(0, end));
}
