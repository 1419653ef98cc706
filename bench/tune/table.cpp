#include "table.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <map>
#include <vector>

#include "choose.hpp"

namespace tune {
namespace {

const char* const header =
    "   window   age ms  workers  capacity |    items/s  window p50/max |   p50 ms   p99 ms p99.9 "
    "ms |  load   CPU  us/item\n";

std::string row(const Figures& f, const char* mark) {
  return fmt::format(
      "{:1}{:>8} {:>8.4g} {:>8} {:>9} | {:>10} {:>15} | {:>8.4g} {:>8.4g} {:>8.4g} | {:>4.0f}% "
      "{:>4.0f}% {:>8.4g}\n",
      mark, f.setting.window, Milliseconds(f.setting.age).count(), f.setting.workers,
      f.setting.capacity, grouped(f.throughput),
      fmt::format("{}/{}", f.median_window, f.largest_window), Milliseconds(f.p50()).count(),
      Milliseconds(f.p99()).count(), Milliseconds(f.p999()).count(), 100 * f.load, 100 * f.cpu,
      Microseconds(f.cost).count());
}

/// For each window size the best of its settings, those of the grid and of what is around the best.
std::vector<Figures> best_by_window(const Report& report) {
  std::map<std::size_t, std::vector<Figures>> by_window;
  for (const Figures& figures : report.grid) by_window[figures.setting.window].push_back(figures);
  std::vector<Figures> best;
  for (const auto& [window, figures] : by_window) {
    const auto recommended = std::find_if(figures.begin(), figures.end(), [&](const Figures& one) {
      return one.setting == report.recommended();
    });
    const Figures* chosen = choose(figures, report.workload.target);
    best.push_back(recommended != figures.end() ? *recommended
                   : chosen != nullptr          ? *chosen
                                                : fastest(figures));
  }
  return best;
}

std::string table_of(const Report& report) {
  const auto meeting = std::count_if(report.grid.begin(), report.grid.end(),
                                     [&](const Figures& one) { return report.meets_target(one); });
  std::string text = fmt::format(
      "Replayed: {} settings, of which {} meet the target. The best for each window size, with > "
      "the\nrecommended one, with ! those that miss the target:\n\n{}",
      report.grid.size(), meeting, header);
  for (const Figures& figures : best_by_window(report))
    text += row(figures, figures.setting == report.recommended() ? ">"
                         : report.meets_target(figures)          ? ""
                                                                 : "!");
  return text + "\n";
}

std::string live_table(const Report& report) {
  std::string text = "Live, each below its replay:\n\n";
  text += header;
  const auto add = [&](const Trial& trial, const char* name) {
    text += fmt::format("{}\n{}{}", name, row(trial.replayed, ""), row(trial.live, "*"));
  };
  for (const Trial& trial : report.trials) add(trial, " a candidate, on the known arrivals");
  add(report.check, " the recommended one, on unseen arrivals");
  if (report.best && report.best->live.setting != report.recommended())
    add(*report.best, " the grid's best, on unseen arrivals");
  return text + "\n";
}

/// As a literal of std::chrono.
std::string literal(Duration age) {
  const auto microseconds = age.count() / 1000;
  if (microseconds % 1000 == 0) return fmt::format("{}ms", microseconds / 1000);
  return fmt::format("{}us", microseconds);
}

std::string indented(const std::string& text) {
  std::string result = "    ";
  for (const char c : text) {
    result += c;
    if (c == '\n') result += "    ";
  }
  return result;
}

}  // namespace

std::string grouped(double number) {
  const std::string digits = fmt::format("{:.0f}", std::max(0.0, number));
  std::string text;
  for (std::size_t i = 0; i < digits.size(); ++i) {
    if (i > 0 && (digits.size() - i) % 3 == 0) text += ',';
    text += digits[i];
  }
  return text;
}

std::string describe(const Workload& workload) {
  return fmt::format(
      "{} items/s of {} bytes from {} producer{}; a callback that {} {:.4g} us and {:.4g} us more "
      "for each item; 99 of 100 items through within {:.4g} ms",
      grouped(workload.rate), workload.item_bytes, workload.producers,
      workload.producers == 1 ? "" : "s", workload.burns ? "computes" : "waits",
      Microseconds(workload.fixed).count(), Microseconds(workload.per_item).count(),
      Milliseconds(workload.target).count());
}

std::string code_of(const Setting& setting) {
  const bool pooled = setting.workers > 1;
  return fmt::format(
      "using namespace std::chrono_literals;\n"
      "{}"
      "microbatch::Stream<Item> stream({{.capacity = {}}});\n"
      "auto consumer = microbatch::streaming(\n"
      "    stream,\n"
      "    microbatch::any_of(microbatch::CountWindow{{{}}}, microbatch::MaxAgeWindow{{{}}}),\n"
      "    callback{});",
      pooled ? fmt::format("microbatch::ThreadPool pool{{{}}};\n", setting.workers) : "",
      setting.capacity, setting.window, literal(setting.age),
      pooled ? ", {.executor = pool, .order = microbatch::Order::unordered}" : "");
}

std::string verdict_of(const Report& report) {
  const Figures& live = report.check.live;
  const double target = Milliseconds(report.workload.target).count();
  std::string text = fmt::format(
      "Live, on arrivals that it had not seen ({}; {} items): p99 {:.4g} ms of at most "
      "{:.4g} ms: {}.",
      report.unseen, grouped(static_cast<double>(live.items)), Milliseconds(live.p99()).count(),
      target, report.held() ? "the target held" : "the target was MISSED");
  if (!live.keeps_up()) text += " It falls behind: its workers have no time to spare.";
  if (live.items < 1000)
    text += " So few items tell little of percentiles: give it more --seconds.";
  if (!report.best) return text + " No setting of the grid met the target live there.";
  if (report.best->live.setting == report.recommended())
    return text + " No setting of the grid was cheaper there.";
  const double excess = 100 * report.excess();
  return text + fmt::format(
                    " It took {:.4g} us of callback an item; the grid's best there, window {} and "
                    "age {:.4g} ms, {:.4g} us: {:.1f} % {}{}.",
                    Microseconds(live.cost).count(), report.best->live.setting.window,
                    Milliseconds(report.best->live.setting.age).count(),
                    Microseconds(report.best->live.cost).count(), std::abs(excess),
                    excess >= 0 ? "more" : "less",
                    excess > 10 ? ", MORE than the 10 % that it may" : "");
}

std::string text_of(const Report& report) {
  std::string text =
      fmt::format("\n{}.\n\n{}{}", describe(report.workload), table_of(report), live_table(report));
  text +=
      "load: share of the workers' time in callbacks; CPU: of one processor, without the "
      "producers;\nus/item: callback time per item, what the choice is made by.\n\n";
  text += report.found ? "Recommended:\n\n"
                       : "NO setting met the target. The nearest, which is no recommendation:\n\n";
  text += indented(code_of(report.recommended())) + "\n\n";
  return text + verdict_of(report) + "\n";
}

}  // namespace tune
