#pragma once

#include <vector>

#include "figures.hpp"
#include "trace.hpp"
#include "workload.hpp"

namespace tune {

struct LiveRun {
  Run run;
  std::vector<Duration> wake_ups;  ///< of windows for which a worker was free, see Machine
  std::vector<Duration> overruns;  ///< of every window
};

/// Plays a trace on this machine: threads append, a pool of workers runs a callback that takes as
/// long as the workload says. Lasts as long as the trace, and one `age` more.
///
/// A producer sleeps until its next item is due and then appends all that are; those that fell due
/// meanwhile arrive when it wakes up, but what an append that blocks holds up arrived in time.
[[nodiscard]] LiveRun run_live(const Workload& workload, const Setting& setting,
                               const Trace& trace);

}  // namespace tune
