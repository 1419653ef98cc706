#pragma once

#include <optional>
#include <string>
#include <vector>

#include "figures.hpp"
#include "options.hpp"
#include "replay.hpp"

namespace tune {

/// A setting's figures from virtual time and from this machine.
struct Trial {
  Figures replayed;
  Figures live;
};

/// What came of it all.
struct Report {
  Workload workload;             ///< with the rate of a recorded trace
  std::string known;             ///< the arrivals that settings were chosen on
  std::string unseen;            ///< those that the recommended one was tried on
  Machine machine;               ///< as measured
  std::vector<Figures> grid;     ///< every setting, replayed on the known arrivals
  std::vector<Trial> trials;     ///< candidates on the known arrivals; one of them is recommended
  bool found = false;            ///< a setting that meets the target; else, what comes nearest
  Trial check;                   ///< the recommended one on the unseen arrivals
  std::optional<Trial> best;     ///< of the whole grid, the cheapest that met the target live there
  std::vector<double> arrivals;  ///< of the live check: items per second, ...
  Seconds arrivals_step{};       ///< ... one value for so long

  [[nodiscard]] const Setting& recommended() const { return check.live.setting; }
  [[nodiscard]] bool held() const { return meets_target(check.live); }
  [[nodiscard]] bool meets_target(const Figures& figures) const;
  /// How much more the recommended one cost in the check than the best, live; 0.03 is 3 %.
  [[nodiscard]] double excess() const;
};

/// Replays the grid in virtual time with a guess of this machine; runs a few settings to know it
/// better; replays the grid again, with more around the best; runs the candidates; and tries the
/// one that it recommends on arrivals that nothing was chosen on, beside the best of the grid
/// there.
[[nodiscard]] Report search(const Options& options);

}  // namespace tune
