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

#include "work.hpp"

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

struct Column {
  std::string heading;
  Cell cell;  // of any contender
  double unit = 1;
};

/// A line per contender that has anything to show in one of the columns.
void print_block(const Results& results, const std::string& title,
                 const std::vector<Column>& columns, bool with_ranges) {
  const int width = with_ranges ? 21 : 11;
  const auto value = [&](const Column& column, const std::string& contender) {
    Cell cell = column.cell;
    cell.contender = contender;
    return results.of(cell);
  };
  const auto text = [](double v) {
    return v == 0 ? "0" : v < 10 ? fmt::format("{:.2f}", v) : fmt::format("{:.0f}", v);
  };
  std::string lines;
  for (const auto& contender :
       distinct<std::string>(results, [](const auto& row) { return row.cell.contender; })) {
    std::string line;
    bool any = false;
    for (const auto& column : columns) {
      const auto s = value(column, contender);
      any = any || s;
      const auto scaled = [&](double v) { return text(v / column.unit); };
      line += fmt::format("{:>{}}",
                          !s            ? "-"
                          : with_ranges ? fmt::format("{} ({}-{})", scaled(s->median),
                                                      scaled(s->low), scaled(s->high))
                                        : scaled(s->median),
                          width);
    }
    if (any) lines += fmt::format("{:<26}{}\n", contender, line);
  }
  if (lines.empty()) return;
  fmt::print("\n{:<26}", title);
  for (const auto& column : columns) fmt::print("{:>{}}", column.heading, width);
  fmt::print("\n{}", lines);
}

}  // namespace

void print_table(const Results& results) {
  for (const std::size_t bytes : item_sizes) {
    std::vector<Column> columns;
    for (const std::size_t producers : producer_counts)
      columns.push_back({fmt::format("{} producer{}", producers, producers == 1 ? "" : "s"),
                         {"throughput", "", producers, bytes},
                         1e6});
    print_block(results, fmt::format("M items/s of {} bytes", bytes), columns, true);
  }
  std::vector<Column> wide;
  const auto by_window = [&](std::size_t window) {
    wide.push_back({fmt::format("{}", window), {"throughput", "", 2, 8, window}, 1e6});
  };
  by_window(usual_window);
  for (const std::size_t window : wide_windows) by_window(window);
  if (results.of({"throughput", "microbatch", 2, 8, 16'384}))
    print_block(results, "M items/s by window", wide, true);
  for (const char* metric : {"metrics", "metrics, processor"}) {
    std::vector<Column> columns;
    for (const std::size_t producers : producer_counts)
      if (results.of({metric, "microbatch", producers}))
        columns.push_back({fmt::format("{} producer{}", producers, producers == 1 ? "" : "s"),
                           {metric, "", producers},
                           1e6});
    print_block(results, metric == std::string("metrics") ? "M items/s" : "M items/processor s",
                columns, true);
  }
  print_block(results, "append of a burst, ns",
              {{"one by one", {"append of a burst", ""}},
               {"ranges of 64", {"append of a burst, ranges of 64", ""}}},
              true);
  std::vector<Column> hand_off;
  std::vector<Column> append;
  std::vector<Column> rest;
  for (const char* rate : {"100k/s", "1M/s"}) {
    for (const char* quantile : {"p50", "p99"})
      hand_off.push_back({fmt::format("{} {}", quantile, rate),
                          {fmt::format("hand-off {} at {}", quantile, rate), ""}});
    for (const char* quantile : {"p50", "p99", "p99.9"})
      append.push_back({fmt::format("{} {}", quantile, rate),
                        {fmt::format("append {} at {}", quantile, rate), ""}});
    rest.push_back({rate, {fmt::format("processor time at {}", rate), ""}});
  }
  rest.push_back({"idle", {"idle processor time", ""}});
  print_block(results, "hand-off, us", hand_off, true);
  print_block(results, "append and clock, ns", append, false);
  print_block(results, "processor, ms/s", rest, true);
  print_block(results, "idle, switches/s", {{"", {"idle context switches", ""}}}, false);
  std::vector<Column> memory;
  for (const std::size_t producers : crowds)
    memory.push_back({fmt::format("{}", producers), {"memory", "", producers}, 1024});
  print_block(results, "KiB by producers", memory, false);
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
    others_ = distinct<std::string>(results, [](const auto& r) { return r.cell.contender; });
    std::erase_if(others_, [](const auto& name) { return name.starts_with("microbatch"); });
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
    tell(a->median <= b->median || a->low <= b->high, "not above", b->median, *a, ours,
         what + ", beside " + theirs);
  }
  void at_most(double most, const Cell& cell, const std::string& what, double scale = 1) {
    auto value = results_.of(cell);
    if (!value) return;
    for (double* v : {&value->low, &value->median, &value->high}) *v /= scale;
    tell(value->median <= most, "at most", most, *value, cell, what);
  }
  /// Those that are not ours.
  [[nodiscard]] const Names& others() const noexcept { return others_; }

 private:
  static void tell(bool met, const char* how, double goal, const Spread& value, const Cell& cell,
                   const std::string& what) {
    fmt::print("{}  {:<9} {:>6.2f}: {:>6.2f} ({:.2f} to {:.2f})  {}p {}B w{}  {}\n",
               met ? "met  " : "SHORT", how, goal, value.median, value.low, value.high,
               cell.producers, cell.item_bytes, cell.window, what);
  }

  const Results& results_;
  Names others_;
};

}  // namespace

void print_figures(const Results& results) {
  Figures figures(results);
  fmt::print("\nfigures (ratios are taken round by round)\n");
  const Names moodycamel_blocking{"moodycamel-blocking", "moodycamel-blocking-token"};
  for (const std::size_t bytes : item_sizes) {
    const double beside_mutex = bytes == 8 ? 4 : bytes == 64 ? 1.5 : 1;
    for (const std::size_t producers : producer_counts) {
      const Cell cell{"throughput", "", producers, bytes, 1024};
      figures.at_least(beside_mutex, cell, {"mutex"}, "throughput");
      if (bytes == 8) figures.at_least(3, cell, moodycamel_blocking, "throughput");
      figures.at_least(1, cell, figures.others(), "throughput");
      figures.at_least(0.5, cell, {"microbatch"}, "throughput", "microbatch-stream");
    }
  }
  for (const std::size_t producers : producer_counts) {
    figures.at_least(0.98, {"metrics", "", producers}, {"microbatch"}, "throughput with histograms",
                     "microbatch-measured");
    figures.at_least(0.98, {"metrics, processor", "", producers}, {"microbatch"},
                     "items per processor time with histograms", "microbatch-measured");
  }
  for (const std::size_t window : wide_windows) {
    Cell wide{"throughput", "microbatch", 2, 8, window};
    Cell usual = wide;
    usual.window = 1024;
    if (const auto ratio = results.ratio(wide, usual))
      fmt::print(
          "{}  at least    0.80: {:>6.2f} ({:.2f} to {:.2f})  2p 8B  throughput of windows of {} "
          "beside 1024\n",
          ratio->median >= 0.8 ? "met  " : "SHORT", ratio->median, ratio->low, ratio->high, window);
  }
  figures.at_most(4, {"append of a burst", "microbatch"}, "append of a burst, ns");
  figures.at_most(8, {"append of a burst", "microbatch-stream"},
                  "append of a burst through the stream, ns");
  figures.at_most(1, {"append of a burst, ranges of 64", "microbatch"},
                  "append of a burst in ranges of 64, ns an item");
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
