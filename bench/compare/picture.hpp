#pragma once

#include <string>

#include "results.hpp"

namespace contest {

/// Throughput as an SVG: a panel per item size, a line per contender, a dot per number of
/// producers, on a logarithmic scale.
void draw_throughput(const Results& results, const std::string& path);

}  // namespace contest
