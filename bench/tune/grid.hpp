#pragma once

#include <span>
#include <vector>

#include "options.hpp"
#include "workload.hpp"

namespace tune {

/// The settings to try: every combination of the candidates, without those that could never keep
/// up. BadOption where that leaves none, or where no number of workers would suffice.
[[nodiscard]] std::vector<Setting> make_grid(const Workload& workload,
                                             const Candidates& candidates);

/// Settings around a good one, nearer to it than the grid's and along one axis at a time. An axis
/// for which the user has named candidates stays as it is.
[[nodiscard]] std::vector<Setting> refine(const Workload& workload, const Candidates& candidates,
                                          const Setting& around, std::span<const Setting> known);

}  // namespace tune
