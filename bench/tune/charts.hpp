#pragma once

#include <vector>

#include "chart.hpp"
#include "search.hpp"

namespace tune {

/// The charts of a report, in the order of the page.
[[nodiscard]] std::vector<Chart> charts_of(const Report& report);

}  // namespace tune
