#pragma once

#include <string>

#include "search.hpp"

namespace tune {

/// One HTML page, which is also XML, with everything in it: no scripts, nothing to fetch.
[[nodiscard]] std::string page_of(const Report& report);

}  // namespace tune
