#pragma once

#include <cstddef>
#include <string>

#include "options.hpp"
#include "trace.hpp"

namespace tune {

/// The arrivals of one part of the work: a long stretch for virtual time, a short one to be lived
/// through.
struct Stretch {
  Trace replay;
  Trace live;
};

/// Where the arrivals come from: a seed or a file.
///
/// Two stretches that have nothing in common: settings are chosen on one and tried on the other. Of
/// a recorded trace the first has the first two thirds, and each takes the busiest time of its
/// part.
class Source {
 public:
  /// BadOption for a file that cannot be read as a trace, with the line.
  explicit Source(const Options& options);

  /// Items per second.
  [[nodiscard]] double rate() const noexcept { return rate_; }
  [[nodiscard]] Stretch known(std::size_t items, Duration live) const;
  [[nodiscard]] Stretch unseen(std::size_t items, Duration live) const;
  /// For people: "poisson, seed 2".
  [[nodiscard]] std::string name_of_known() const;
  [[nodiscard]] std::string name_of_unseen() const;

 private:
  [[nodiscard]] Stretch generated(std::uint64_t seed, std::size_t items, Duration live) const;

  const Options& options_;
  Trace recorded_;  // empty: generated
  double rate_;
};

}  // namespace tune
