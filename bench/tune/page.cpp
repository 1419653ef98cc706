#include "page.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "chart.hpp"
#include "charts.hpp"
#include "table.hpp"

namespace tune {
namespace {

const char* const style = R"(
:root { color-scheme: light dark; --paper: #fff; --ink: #16191d; --soft: #555d67; --panel: #f4f5f7;
  --good: hsl(150 65% 28%); --bad: hsl(0 75% 42%); }
@media (prefers-color-scheme: dark) {
  :root { --paper: #14161a; --ink: #eceef1; --soft: #a5adb8; --panel: #1e2127;
    --good: hsl(150 55% 60%); --bad: hsl(0 90% 70%); }
}
body { margin: 0 auto; padding: 1.25rem 1rem 3rem; max-width: 74rem; background: var(--paper);
  color: var(--ink); font: 1rem/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; line-height: 1.25; margin: 0 0 .5rem; }
h2 { font-size: 1.15rem; margin: 2.25rem 0 .75rem; }
p { margin: .5rem 0; max-width: 46rem; }
.soft { color: var(--soft); }
.held { color: var(--good); font-weight: 600; }
.missed { color: var(--bad); font-weight: 600; }
dl.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(8.5rem, 1fr)); gap: .6rem;
  margin: 1rem 0; }
dl.tiles div { background: var(--panel); border-radius: .4rem; padding: .55rem .75rem; }
dl.tiles dt { font-size: .8125rem; color: var(--soft); }
dl.tiles dd { margin: 0; font-size: 1.25rem; font-weight: 600; }
pre { background: var(--panel); border-radius: .4rem; padding: .75rem; overflow-x: auto;
  font: .85rem/1.45 ui-monospace, monospace; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr));
  gap: 2rem 1.75rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .8125rem; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: .25rem .5rem; white-space: nowrap; vertical-align: bottom; }
th { color: var(--soft); font-weight: 600; }
th:first-child, td:first-child { text-align: left; white-space: normal; min-width: 7.5rem; }
tbody tr { border-top: 1px solid var(--grid); }
tr.chosen td { font-weight: 700; }
summary { cursor: pointer; color: var(--soft); }
)";

struct Row {
  std::string name;
  const Figures* figures;
};

std::string table_of(std::span<const Row> rows, const Setting& chosen) {
  std::string html =
      "<div class=\"scroll\"><table><thead><tr><th></th><th>window</th><th>age ms</th>"
      "<th>workers</th><th>capacity</th><th>items/s</th><th>items p50</th><th>p50 ms</th>"
      "<th>p99 ms</th><th>p99.9 ms</th><th>load</th><th>CPU</th><th>us/item</th></tr></thead>"
      "<tbody>\n";
  for (const auto& [name, figures] : rows) {
    const Setting& setting = figures->setting;
    html += fmt::format(
        "<tr{}><td>{}</td><td>{}</td><td>{:.4g}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td>"
        "<td>{:.4g}</td><td>{:.4g}</td><td>{:.4g}</td><td>{:.0f} %</td><td>{:.1f} %</td>"
        "<td>{:.4g}</td></tr>\n",
        setting == chosen ? " class=\"chosen\"" : "", escaped(name), setting.window,
        Milliseconds(setting.age).count(), setting.workers,
        grouped(static_cast<double>(setting.capacity)), grouped(figures->throughput),
        figures->median_window, Milliseconds(figures->p50()).count(),
        Milliseconds(figures->p99()).count(), Milliseconds(figures->p999()).count(),
        100 * figures->load, 100 * figures->cpu, Microseconds(figures->cost).count());
  }
  return html + "</tbody></table></div>\n";
}

std::string tiles_of(const Report& report) {
  const Setting& setting = report.recommended();
  std::string html = "<dl class=\"tiles\">";
  const auto tile = [&](const char* name, const std::string& value) {
    html += fmt::format("<div><dt>{}</dt><dd>{}</dd></div>", name, value);
  };
  tile("window", fmt::format("{} items", grouped(static_cast<double>(setting.window))));
  tile("age", fmt::format("{:.4g} ms", Milliseconds(setting.age).count()));
  tile("workers", fmt::format("{}", setting.workers));
  tile("capacity", fmt::format("{} items", grouped(static_cast<double>(setting.capacity))));
  tile("p99, live, unseen",
       fmt::format("{:.4g} ms", Milliseconds(report.check.live.p99()).count()));
  tile("callback per item", fmt::format("{:.4g} us", Microseconds(report.check.live.cost).count()));
  return html + "</dl>\n";
}

std::string live_table(const Report& report) {
  std::vector<Row> rows;
  const auto add = [&](const std::string& name, const Trial& trial) {
    rows.push_back({name + ", replayed", &trial.replayed});
    rows.push_back({name + ", live", &trial.live});
  };
  for (const Trial& trial : report.trials) add("candidate", trial);
  add("recommended, unseen arrivals", report.check);
  if (report.best && report.best->live.setting != report.recommended())
    add("the grid's best, unseen arrivals", *report.best);
  return table_of(rows, report.recommended());
}

std::string full_table(const Report& report) {
  std::vector<Row> rows;
  for (const Figures& figures : report.grid)
    rows.push_back({report.meets_target(figures) ? ""
                    : figures.keeps_up()         ? "too late"
                                                 : "falls behind",
                    &figures});
  std::sort(rows.begin(), rows.end(),
            [](const Row& a, const Row& b) { return a.figures->cost < b.figures->cost; });
  return table_of(rows, report.recommended());
}

std::string machine_text(const Report& report) {
  const auto quantiles = [](std::vector<Duration> values) {
    std::sort(values.begin(), values.end());
    const auto at = [&](double share) {
      return Microseconds(percentile<Duration>(values, share)).count();
    };
    return fmt::format("{:.0f} us at the median, {:.0f} us for one in a hundred", at(0.5),
                       at(0.99));
  };
  return fmt::format(
      "{} processors. From a window that is ready to its callback: {}. A callback took longer than "
      "it should by {}. The consumer's side took {:.2f} us of processor time per window and {:.3f} "
      "us per item. Replays draw from what was measured.",
      std::thread::hardware_concurrency(), quantiles(report.machine.wake_ups),
      quantiles(report.machine.overruns), Microseconds(report.machine.cpu_per_window).count(),
      Microseconds(report.machine.cpu_per_item).count());
}

}  // namespace

std::string page_of(const Report& report) {
  std::string charts;
  for (const Chart& chart : charts_of(report)) charts += figure_of(chart);
  return fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n"
      "<title>microbatch: settings for a workload</title>\n<style>{}{}</style>\n</head>\n<body>\n"
      "<h1>Settings for a workload</h1>\n<p>{}.</p>\n"
      "<h2>{}</h2>\n{}<pre>{}</pre>\n<p class=\"{}\">{}</p>\n"
      "<h2>Charts</h2>\n<div class=\"charts\">\n{}</div>\n"
      "<h2>Run live</h2>\n<p class=\"soft\">Candidates were run on the arrivals that settings are "
      "chosen on ({}), the recommended one also on others ({}).</p>\n{}"
      "<h2>This machine</h2>\n<p>{}</p>\n"
      "<h2>All settings</h2>\n<details><summary>{} settings, replayed, the cheapest "
      "first</summary>\n"
      "{}</details>\n"
      "<p class=\"soft\">load: share of the workers' time in callbacks. CPU: of one processor, "
      "without the producers; of replays, as measured per item and window. us/item: callback time "
      "per item, what the choice is made by.</p>\n</body>\n</html>\n",
      style, chart_style, escaped(describe(report.workload)),
      report.found ? "Recommended" : "No setting met the target; this comes nearest",
      tiles_of(report), escaped(code_of(report.recommended())), report.held() ? "held" : "missed",
      escaped(verdict_of(report)), charts, escaped(report.known), escaped(report.unseen),
      live_table(report), escaped(machine_text(report)), report.grid.size(), full_table(report));
}

}  // namespace tune
