#pragma once

#include <span>
#include <string>

#include "figures.hpp"
#include "search.hpp"

namespace tune {

/// What standard output gets: the workload, the cheapest settings, what was run live, the
/// recommendation and how it did.
[[nodiscard]] std::string text_of(const Report& report);

/// The recommendation as C++ to paste.
[[nodiscard]] std::string code_of(const Setting& setting);

/// "100,000 items/s (poisson), 64 bytes, ..."
[[nodiscard]] std::string describe(const Workload& workload);
/// How the check went, in sentences.
[[nodiscard]] std::string verdict_of(const Report& report);

/// 1234567 as "1,234,567".
[[nodiscard]] std::string grouped(double number);

}  // namespace tune
