#pragma once

#include <string>

#include "results.hpp"

namespace contest {

/// One line per contender: medians, with the range of the rounds.
void print_table(const Results& results);
/// What this library promises of itself beside the others, and whether it held in this run.
void print_figures(const Results& results);
/// A JSON array of {metric, contender, producers, item_bytes, window, value, unit}; medians.
void write_json(const Results& results, const std::string& path);

}  // namespace contest
