#include "report.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <functional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace contest {
namespace {

using Names = std::vector<std::string>;

template <class V, class F>
std::vector<V> distinct(const Results& results, F of) {
  std::vector<V> values;
  for (const auto& row : results.rows())
    if (const V value = of(row); std::find(values.begin(), values.end(), value) == values.end())
      values.push_back(value);
  return values;
}

/// A column: the cells that differ in nothing but the contender.
using Column = std::pair<Cell, std::string>;

std::string in_units(double value, const std::string& unit) {
  if (unit == "items/s") return fmt::format("{:.1f}", value / 1e6);
  if (unit == "bytes") return fmt::format("{:.0f}", value / 1024);
  return value < 10 ? fmt::format("{:.2f}", value) : fmt::format("{:.0f}", value);
}
std::string heading(const std::string& unit) {
  if (unit == "items/s") return "M items/s";
  if (unit == "bytes") return "KiB";
  return unit;
}

}  // namespace

void print_table(const Results& results) {
  const auto metrics = distinct<std::string>(results, [](const auto& r) { return r.cell.metric; });
  for (const std::string& metric : metrics) {
    std::vector<Column> columns;
    Names contenders;
    std::string unit;
    for (const auto& row : results.rows()) {
      if (row.cell.metric != metric) continue;
      unit = row.unit;
      Cell cell = row.cell;
      if (std::find(contenders.begin(), contenders.end(), cell.contender) == contenders.end())
        contenders.push_back(cell.contender);
      cell.contender.clear();
      if (std::none_of(columns.begin(), columns.end(),
                       [&](const Column& c) { return c.first == cell; }))
        columns.emplace_back(
            cell, fmt::format("{}p {}B w{}", cell.producers, cell.item_bytes, cell.window));
    }
    fmt::print("\n{}, {}: median (lowest to highest)\n", metric, heading(unit));
    constexpr std::size_t per_line = 4;
    for (std::size_t first = 0; first < columns.size(); first += per_line) {
      const std::size_t last = std::min(columns.size(), first + per_line);
      fmt::print("{:<26}", "");
      for (std::size_t c = first; c < last; ++c) fmt::print("{:>22}", columns[c].second);
      fmt::print("\n");
      for (const auto& contender : contenders) {
        fmt::print("{:<26}", contender);
        for (std::size_t c = first; c < last; ++c) {
          Cell cell = columns[c].first;
          cell.contender = contender;
          const auto s = results.of(cell);
          fmt::print("{:>22}", s ? fmt::format("{} ({} to {})", in_units(s->median, unit),
                                               in_units(s->low, unit), in_units(s->high, unit))
                                 : "-");
        }
        fmt::print("\n");
      }
    }
  }
}

void write_json(const Results& results, const std::string& path) {
  std::FILE* file = std::fopen(path.c_str(), "w");
  if (file == nullptr)
    throw std::runtime_error(fmt::format("--json {}: {}", path, std::strerror(errno)));
  const char* separator = "[";
  for (const auto& row : results.rows()) {
    fmt::print(
        file,
        "{}\n  {{\"metric\": \"{}\", \"contender\": \"{}\", \"producers\": {}, \"item_bytes\": {}, "
        "\"window\": {}, \"value\": {:.6g}, \"unit\": \"{}\"}}",
        separator, row.cell.metric, row.cell.contender, row.cell.producers, row.cell.item_bytes,
        row.cell.window, spread(row.rounds).median, row.unit);
    separator = ",";
  }
  fmt::print(file, "\n]\n");
  if (std::fclose(file) != 0)
    throw std::runtime_error(fmt::format("--json {}: {}", path, std::strerror(errno)));
}

namespace {

class Figures {
 public:
  explicit Figures(const Results& results) : results_(results) {
    contenders_ = distinct<std::string>(results, [](const auto& r) { return r.cell.contender; });
  }

  /// ours / theirs, round by round, is at least `least`; of several of theirs, the best one.
  void at_least(double least, Cell cell, const Names& theirs, const std::string& what,
                const std::string& ours = "microbatch") {
    cell.contender = ours;
    std::optional<Spread> worst;
    std::string beside;
    for (const auto& name : theirs) {
      Cell other = cell;
      other.contender = name;
      if (name == ours) continue;
      const auto ratio = results_.ratio(cell, other);
      if (!ratio || (worst && worst->median <= ratio->median)) continue;
      worst = ratio;
      beside = name;
    }
    if (worst)
      tell(worst->median >= least, "at least", least, *worst, cell, what + ", beside " + beside);
  }
  /// Ours is not above theirs by more than the noise: the ranges of the rounds overlap, or it is
  /// below.
  void not_above(const Cell& ours, const std::string& theirs, const std::string& what) {
    Cell other = ours;
    other.contender = theirs;
    const auto a = results_.of(ours);
    const auto b = results_.of(other);
    if (!a || !b) return;
    tell(a->median <= b->high, "not above", b->median, *a, ours, what + ", beside " + theirs);
  }
  void at_most(double most, const Cell& cell, const std::string& what, double scale = 1) {
    auto value = results_.of(cell);
    if (!value) return;
    for (double* v : {&value->low, &value->median, &value->high}) *v /= scale;
    tell(value->median <= most, "at most", most, *value, cell, what);
  }
  [[nodiscard]] const Names& contenders() const noexcept { return contenders_; }

 private:
  static void tell(bool met, const char* how, double goal, const Spread& value, const Cell& cell,
                   const std::string& what) {
    fmt::print("{}  {:<9} {:>6.2f}: {:>6.2f} ({:.2f} to {:.2f})  {}p {}B w{}  {}\n",
               met ? "met  " : "SHORT", how, goal, value.median, value.low, value.high,
               cell.producers, cell.item_bytes, cell.window, what);
  }

  const Results& results_;
  Names contenders_;
};

}  // namespace

void print_figures(const Results& results) {
  Figures figures(results);
  fmt::print("\nfigures (ratios are taken round by round)\n");
  const Names moodycamel_blocking{"moodycamel-blocking", "moodycamel-blocking-token"};
  for (const std::size_t bytes : {8, 64, 256}) {
    const double beside_mutex = bytes == 8 ? 4 : bytes == 64 ? 1.5 : 1;
    for (const std::size_t producers : {1, 2, 4, 8}) {
      const Cell cell{"throughput", "", producers, bytes, 1024};
      figures.at_least(beside_mutex, cell, {"mutex"}, "throughput");
      if (bytes == 8) figures.at_least(3, cell, moodycamel_blocking, "throughput");
      figures.at_least(1, cell, figures.contenders(), "throughput");
      figures.at_least(0.5, cell, {"microbatch"}, "throughput", "microbatch-stream");
    }
  }
  for (const std::size_t window : {16'384, 1'048'576}) {
    Cell wide{"throughput", "microbatch", 2, 8, window};
    Cell usual = wide;
    usual.window = 1024;
    if (const auto ratio = results.ratio(wide, usual))
      fmt::print(
          "{}  at least    0.80: {:>6.2f} ({:.2f} to {:.2f})  2p 8B  throughput of windows of {} "
          "beside 1024\n",
          ratio->median >= 0.8 ? "met  " : "SHORT", ratio->median, ratio->low, ratio->high, window);
  }
  for (const char* rate : {"100k/s", "1M/s"}) {
    for (const char* quantile : {"p50", "p99"})
      figures.not_above({fmt::format("hand-off {} at {}", quantile, rate), "microbatch"}, "mutex",
                        fmt::format("hand-off {} at {}, us", quantile, rate));
    figures.not_above({fmt::format("processor time at {}", rate), "microbatch"}, "mutex",
                      fmt::format("processor time at {}, ms/s", rate));
  }
  figures.at_most(0, {"idle context switches", "microbatch"}, "idle context switches per second");
  figures.at_most(16, {"memory", "microbatch", 1000}, "memory of 1000 producers, MiB",
                  1024.0 * 1024);
  figures.at_most(16, {"memory", "microbatch-stream", 1000}, "memory of 1000 threads, MiB",
                  1024.0 * 1024);
}

}  // namespace contest
