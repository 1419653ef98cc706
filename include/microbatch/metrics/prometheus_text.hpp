#pragma once

#include <string>
#include <vector>

#include "metric_family.hpp"

namespace microbatch::inline v0_1 {

/// The Prometheus text format, version 0.0.4: answer it to a scrape as
/// `text/plain; version=0.0.4; charset=utf-8`, or put it into a file for node_exporter's textfile
/// collector.
[[nodiscard]] std::string prometheus_text(const std::vector<MetricFamily>& families);

}  // namespace microbatch::inline v0_1
