#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <random>
#include <span>
#include <vector>

#include "workload.hpp"

namespace tune {

/// When items arrive, counted from a start, in order. The i-th is appended by producer
/// i % producers.
using Trace = std::vector<Duration>;

/// Random numbers that are the same on every platform, above 0 and at most 1.
class Random {
 public:
  explicit Random(std::uint64_t seed) : engine_(seed) {}
  double operator()() { return (static_cast<double>(engine_() >> 11) + 1) * 0x1.0p-53; }
  /// Of that mean, as between the arrivals of a Poisson process.
  double exponential(double mean) { return -mean * std::log((*this)()); }
  std::size_t below(std::size_t n) { return static_cast<std::size_t>(engine_() % n); }

 private:
  std::mt19937_64 engine_;
};

/// `items` arrivals as the workload has them.
[[nodiscard]] inline Trace make_trace(const Workload& workload, std::size_t items,
                                      std::uint64_t seed) {
  constexpr double share = 0.1;    // of the time that is burst
  constexpr double intensity = 5;  // times the mean rate in a burst
  constexpr double quiet = (1 - share * intensity) / (1 - share);
  const double burst = Seconds(workload.target).count();  // how long one lasts, on average
  const Arrivals arrivals = workload.arrivals;
  const double rate = workload.rate;

  Random random(seed);
  Trace trace;
  trace.reserve(items);
  double now = 0;  // s
  bool in_burst = false;
  double phase_ends =
      arrivals == Arrivals::bursts ? random.exponential(burst * (1 - share) / share) : INFINITY;
  while (trace.size() < items) {
    double next = 0;
    if (arrivals == Arrivals::even) {
      next = static_cast<double>(trace.size()) / rate;
    } else {
      const double factor = arrivals == Arrivals::poisson ? 1 : in_burst ? intensity : quiet;
      next = now + random.exponential(1 / (rate * factor));
    }
    if (next >= phase_ends) {  // a Poisson process does not remember: begin anew in the next phase
      now = phase_ends;
      in_burst = !in_burst;
      phase_ends += random.exponential(in_burst ? burst : burst * (1 - share) / share);
      continue;
    }
    now = next;
    trace.push_back(std::chrono::duration_cast<Duration>(Seconds(now)));
  }
  return trace;
}

/// Counted from its first arrival.
[[nodiscard]] inline Trace from_zero(std::span<const Duration> part) {
  Trace trace(part.begin(), part.end());
  for (Duration& at : trace) at -= part.front();
  return trace;
}

/// The `items` arrivals that follow each other most closely.
[[nodiscard]] inline Trace busiest(std::span<const Duration> trace, std::size_t items) {
  if (trace.size() <= items) return from_zero(trace);
  std::size_t best = 0;
  for (std::size_t i = 0; i + items <= trace.size(); ++i)
    if (trace[i + items - 1] - trace[i] < trace[best + items - 1] - trace[best]) best = i;
  return from_zero(trace.subspan(best, items));
}

/// So much time of it, that in which most arrive.
[[nodiscard]] inline Trace busiest(std::span<const Duration> trace, Duration time) {
  std::size_t best = 0;
  std::size_t most = 0;
  for (std::size_t begin = 0, end = 0; begin < trace.size(); ++begin) {
    while (end < trace.size() && trace[end] - trace[begin] < time) ++end;
    if (end - begin > most) {
      most = end - begin;
      best = begin;
    }
  }
  return from_zero(trace.subspan(best, most));
}

/// Items per second.
[[nodiscard]] inline double rate_of(std::span<const Duration> trace) {
  if (trace.size() < 2 || trace.back() <= trace.front()) return 0;
  return static_cast<double>(trace.size() - 1) / Seconds(trace.back() - trace.front()).count();
}

}  // namespace tune
