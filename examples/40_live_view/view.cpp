#include "view.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>

#include "text.hpp"

using namespace microbatch;

namespace {

constexpr std::size_t history = 10;  // samples in a sparkline over time

void keep(std::deque<double>& values, double value) {
  values.push_back(value);
  if (values.size() > history) values.pop_front();
}

std::string sparkline_of(const std::deque<double>& values) {
  std::vector<double> padded(history - values.size());
  padded.insert(padded.end(), values.begin(), values.end());
  return sparkline(padded);
}

/// How many windows of each size: one block per power of two.
std::string sizes(const Histogram& histogram) {
  std::vector<double> counts;
  std::uint64_t below = 0;
  for (std::uint64_t bound = 1; bound / 2 < histogram.max(); bound *= 2) {
    const std::uint64_t so_far = histogram.count_up_to(bound);
    if (so_far > 0) counts.push_back(static_cast<double>(so_far - below));
    below = so_far;
  }
  return sparkline(counts);
}

std::string percentiles(const Histogram& times) {
  if (times.empty()) return "-";
  return fmt::format("p50 {}, p99 {}", short_time(static_cast<double>(times.quantile(0.5))),
                     short_time(static_cast<double>(times.quantile(0.99))));
}

void add_line(std::string& out, std::string_view line) {
  out += cut_to(line, View::columns);
  out += '\n';
}

}  // namespace

void View::look(Duration elapsed) {
  for (Row& row : rows_) {
    row.before = row.now.stats;
    row.running = row.probe->read(row.now);
    row.seconds = std::max(std::chrono::duration<double>(elapsed).count(), 1e-3);
    keep(row.rates, row.rate(&Stats::delivered));
    keep(row.depths, static_cast<double>(row.now.stats.pending));
  }
}

double View::Row::rate(std::uint64_t Stats::*counter) const {
  return static_cast<double>(now.stats.*counter - before.*counter) / seconds;
}

std::string View::Row::reasons() const {
  std::string text;
  const auto windows = static_cast<double>(now.stats.windows - before.windows);
  for (std::size_t i = 0; i < reason_count && windows > 0; ++i) {
    const auto n = static_cast<double>(now.stats.windows_by[i] - before.windows_by[i]);
    if (n > 0)
      text += fmt::format(", {} {:.0f} %", to_string(static_cast<Reason>(i)), 100 * n / windows);
  }
  return text;
}

void View::Row::add_to(std::string& out) const {
  const Stats& s = now.stats;
  const Histograms& h = now.histograms;
  add_line(out, fmt::format("{:<10} {} {:>6}/s in {:>6}/s out {} {}/{} {}", cut_to(now.stream, 10),
                            sparkline_of(rates), short_number(rate(&Stats::accepted)),
                            short_number(rate(&Stats::delivered)), sparkline_of(depths),
                            short_number(static_cast<double>(s.pending)),
                            short_number(static_cast<double>(now.capacity)),
                            running ? "pending" : "ended"));
  add_line(out, fmt::format("  windows    {}/s, p50 {}, max {} items {}{}",
                            short_number(rate(&Stats::windows)), h.window_size.quantile(0.5),
                            h.window_size.max(), sizes(h.window_size), reasons()));
  add_line(out, fmt::format("  latency    wait {}; callback {}", percentiles(h.wait),
                            percentiles(h.callback)));
  add_line(out, fmt::format("  trouble    {} dead letters, {} dropped, {} refused, {} retries",
                            s.dead_lettered, s.dropped(), s.refused(), s.retries));
}

std::string View::text() const {
  std::string out;
  for (const Row& row : rows_) row.add_to(out);
  return out;
}

std::string View::lines() const {
  std::string out;
  for (const Row& row : rows_)
    out += fmt::format(
        "{} in={:.0f}/s out={:.0f}/s pending={} windows={:.0f}/s wait_p99={} dead_letters={} "
        "retries={}\n",
        row.now.stream, row.rate(&Stats::accepted), row.rate(&Stats::delivered),
        row.now.stats.pending, row.rate(&Stats::windows),
        row.now.histograms.wait.empty()
            ? "-"
            : short_time(static_cast<double>(row.now.histograms.wait.quantile(0.99))),
        row.now.stats.dead_lettered, row.now.stats.retries);
  return out;
}
