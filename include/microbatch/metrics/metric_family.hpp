#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "../core/probe.hpp"

namespace microbatch::inline v0_1 {

/// Names and values that tell series of one family apart, in the order in which they are written.
using Labels = std::vector<std::pair<std::string, std::string>>;

/// One metric with its series, as every exposition format needs it.
struct MetricFamily {
  enum class Type : std::uint8_t { counter, gauge, histogram };

  struct Bucket {
    double upper_bound;    ///< inclusive
    std::uint64_t so_far;  ///< values up to there
  };
  struct Series {
    Labels labels{};
    double value = 0;               ///< of a counter or a gauge
    std::vector<Bucket> buckets{};  ///< of a histogram; the last one, without bound, is left out
    std::uint64_t count = 0;
    double sum = 0;
  };

  std::string name;
  std::string help;
  Type type = Type::gauge;
  std::vector<Series> series{};
};

/// A consumer's sample and the labels it goes by.
struct LabelledSample {
  Labels labels{};
  Sample sample{};
};

/// What samples come to in Prometheus' conventions: base units (items, bytes, seconds), `_total` on
/// counters. Causes, reasons and outcomes are labels with a fixed set of values. Histograms come
/// with a bound for each power of two, and only of consumers that measure.
[[nodiscard]] std::vector<MetricFamily> metric_families(const std::vector<LabelledSample>& samples);

}  // namespace microbatch::inline v0_1
