#include "search.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <utility>

#include "choose.hpp"
#include "grid.hpp"
#include "live.hpp"
#include "progress.hpp"
#include "source.hpp"

namespace tune {
namespace {

// How much of the target a replayed percentile may use up, so that the live one still meets it.
constexpr double near_the_target[] = {0.97, 0.90, 0.80};

Duration share_of(Duration whole, double share) {
  return std::chrono::duration_cast<Duration>(whole * share);
}

class Searcher {
 public:
  explicit Searcher(const Options& options)
      : options_(options), source_(options), live_(live_time(options)) {
    report_.workload = options.workload;
    report_.workload.rate = source_.rate();
    report_.known = source_.name_of_known();
    report_.unseen = source_.name_of_unseen();
    settings_ = make_grid(report_.workload, options.candidates);
    fmt::print(stderr, "arrivals to choose on: {}; to try it on: {}\n", report_.known,
               report_.unseen);
  }

  Report operator()() {
    const std::size_t first_look = items_for(2'000);
    known_ = source_.known(first_look, live_);
    const auto begin = std::chrono::steady_clock::now();
    report_.grid = replay(settings_, known_.replay, "first replay");
    const Seconds took = std::chrono::steady_clock::now() - begin;
    get_to_know_the_machine();

    // As many items as the time allows.
    const double times = 0.15 * options_.run / took;
    const std::size_t items =
        items_for(static_cast<std::size_t>(static_cast<double>(first_look) * times));
    known_ = source_.known(items, live_);
    report_.grid = replay(settings_, known_.replay, "replay, as this machine is");
    look_closer();
    try_candidates();

    const Stretch unseen = source_.unseen(items, live_);
    const auto replayed = replay(settings_, unseen.replay, "replay of unseen arrivals");
    check_on(unseen.live, replayed);
    count_arrivals(unseen.live);
    return std::move(report_);
  }

 private:
  /// A live run is short beside the whole, but long beside the target, and sees some bursts.
  static Duration live_time(const Options& options) {
    return std::max(std::chrono::duration_cast<Duration>(0.06 * options.run),
                    (has_bursts(options) ? 30 : 5) * options.workload.target);
  }
  [[nodiscard]] static bool has_bursts(const Options& options) {
    return options.workload.trace.empty() && options.workload.arrivals == Arrivals::bursts;
  }
  /// At least `least`, and enough for some windows and bursts; a million at most.
  [[nodiscard]] std::size_t items_for(std::size_t least) const {
    const double targets = has_bursts(options_) ? 60 : 6;
    const double enough = source_.rate() * Seconds(options_.workload.target).count() * targets;
    return static_cast<std::size_t>(
        std::clamp(std::max(static_cast<double>(least), enough), 1'000.0, 1'000'000.0));
  }
  [[nodiscard]] Duration target(double share = 1) const {
    return share_of(options_.workload.target, share);
  }

  /// One after the other: beside other threads of the process, the engine's barriers would cost
  /// more than a second processor gains.
  std::vector<Figures> replay(const std::vector<Setting>& settings, const Trace& trace,
                              const std::string& name) const {
    std::vector<Figures> figures(settings.size());
    Stage stage(fmt::format("{}: {} settings, {} items", name, settings.size(), trace.size()),
                settings.size());
    for (std::size_t i = 0; i < settings.size(); ++i) {
      Run run = Replay(report_.workload, report_.machine, settings[i], options_.seed)(trace);
      figures[i] = figures_of(settings[i], run);
      stage.step();
    }
    return figures;
  }

  LiveRun live(const Setting& setting, const Trace& trace, const char* name) const {
    const Stage stage(fmt::format("live, {}: window {}, age {:.4g} ms, {} worker{}", name,
                                  setting.window, Milliseconds(setting.age).count(),
                                  setting.workers, setting.workers == 1 ? "" : "s"),
                      1);
    return run_live(report_.workload, setting, trace);
  }

  /// Runs two settings, one with few windows and one with many: together they tell what a window
  /// costs and what an item does.
  void get_to_know_the_machine() {
    const Figures* few = choose(report_.grid, target(0.9));
    if (few == nullptr) few = &fastest(report_.grid);
    const Figures* many = few;
    for (const Figures& one : report_.grid)
      if (meets(one, target()) && one.load < 0.5 && one.mean_window < many->mean_window)
        many = &one;

    struct Use {
      double items, windows, cpu;  // ns
    };
    const auto look = [&](const Setting& setting) {
      LiveRun live = this->live(setting, known_.live, "to know this machine");
      const Use use{static_cast<double>(live.run.latencies.size()),
                    static_cast<double>(live.run.calls.size()), Nanoseconds(live.run.cpu).count()};
      // What an overloaded machine adds is not what it adds to a setting that one would choose.
      if (&setting == &few->setting || meets(figures_of(setting, live.run), target())) learn(live);
      return use;
    };
    const Use b = few == many ? Use{} : look(many->setting);
    const Use a = look(few->setting);
    Machine& machine = report_.machine;
    const double per_window = b.items > 0 ? b.windows / b.items - a.windows / a.items : 0;
    if (per_window > 0)
      machine.cpu_per_window =
          Nanoseconds(std::max(0.0, (b.cpu / b.items - a.cpu / a.items) / per_window));
    machine.cpu_per_item =
        Nanoseconds(std::max(0.0, (a.cpu - machine.cpu_per_window.count() * a.windows) / a.items));
  }

  /// The latest run counts, and where it has too few windows to go by, those before it, too.
  void learn(const LiveRun& live) {
    constexpr std::size_t enough = 50;
    const auto take = [](std::vector<Duration>& known, const std::vector<Duration>& latest) {
      if (latest.size() >= enough) known.clear();
      known.insert(known.end(), latest.begin(), latest.end());
    };
    take(report_.machine.wake_ups, live.wake_ups);
    take(report_.machine.overruns, live.overruns);
  }

  void look_closer() {
    const Figures* best = choose(report_.grid, target(near_the_target[0]));
    const Setting around = (best != nullptr ? *best : fastest(report_.grid)).setting;
    const auto near = refine(report_.workload, options_.candidates, around, settings_);
    const auto figures = replay(near, known_.replay, "replay around the best");
    settings_.insert(settings_.end(), near.begin(), near.end());
    report_.grid.insert(report_.grid.end(), figures.begin(), figures.end());
  }

  void try_candidates() {
    if (!run_candidates(true)) {
      report_.grid = replay(settings_, known_.replay, "replay, the machine has changed");
      (void)run_candidates(false);
    }
    const auto met = std::find_if(report_.trials.begin(), report_.trials.end(),
                                  [&](const Trial& trial) { return meets(trial.live, target()); });
    report_.found = met != report_.trials.end();
    const auto lowest = std::min_element(
        report_.trials.begin(), report_.trials.end(),
        [](const Trial& a, const Trial& b) { return a.live.p99() < b.live.p99(); });
    report_.check = report_.found ? *met : *lowest;
  }

  /// From the cheapest on, each with more distance to the target. False where `may_learn` and a run
  /// contradicts its replay: then replays have to be made anew.
  bool run_candidates(bool may_learn) {
    report_.trials.clear();
    for (const double share : near_the_target) {
      const Figures* one = choose(report_.grid, target(share));
      if (one == nullptr) one = &fastest(report_.grid);
      const bool tried = std::any_of(report_.trials.begin(), report_.trials.end(), [&](auto& t) {
        const Setting& other = t.replayed.setting;
        return other.window == one->setting.window && other.age == one->setting.age &&
               other.workers == one->setting.workers;
      });
      if (tried) continue;
      LiveRun live = this->live(one->setting, known_.live, "a candidate");
      report_.trials.push_back({*one, figures_of(one->setting, live.run)});
      const Duration off = report_.trials.back().live.p99() - one->p99();
      if (!may_learn || std::max(off, -off) <= target(0.1)) continue;
      learn(live);
      return false;
    }
    return true;
  }

  /// The recommended setting, and the best that one could have taken.
  void check_on(const Trace& trace, const std::vector<Figures>& replayed) {
    const auto try_one = [&](const Figures& figures, const char* name) {
      Run run = live(figures.setting, trace, name).run;
      return Trial{figures, figures_of(figures.setting, run)};
    };
    const Setting chosen = report_.recommended();
    const auto same = [&](const Figures& figures) { return figures.setting == chosen; };
    report_.check =
        try_one(*std::find_if(replayed.begin(), replayed.end(), same), "recommended, unseen");
    Duration limit = target();
    for (int tries = 0; tries < 3; ++tries) {
      const Figures* best = cheapest(replayed, limit);
      if (best == nullptr) return;
      const Trial trial = same(*best) ? report_.check : try_one(*best, "the grid's best, unseen");
      if (meets(trial.live, target())) {
        report_.best = trial;
        return;
      }
      limit = share_of(best->p99(), 0.97);  // that one was too near the target
    }
  }

  void count_arrivals(const Trace& trace) {
    constexpr std::size_t values = 80;
    report_.arrivals.assign(values, 0);
    report_.arrivals_step = Seconds(trace.back() + Duration(1)) / values;
    for (const Duration at : trace)
      report_.arrivals[std::min(values - 1,
                                static_cast<std::size_t>(Seconds(at) / report_.arrivals_step))] +=
          1 / report_.arrivals_step.count();
  }

  const Options& options_;
  const Source source_;
  const Duration live_;
  std::vector<Setting> settings_;
  Stretch known_;
  Report report_;
};

}  // namespace

bool Report::meets_target(const Figures& figures) const { return meets(figures, workload.target); }

double Report::excess() const { return best ? check.live.cost / best->live.cost - 1 : 0; }

Report search(const Options& options) { return Searcher(options)(); }

}  // namespace tune
