#pragma once

#include <stop_token>

#include "options.hpp"

namespace group {

/// One member of the group, until it is stopped: from one topic to the other, exactly once.
int be_member(const Options& options, std::stop_token stop);

}  // namespace group
