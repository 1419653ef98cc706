#pragma once

#include "options.hpp"

namespace group {

/// Puts records in, starts members, kills one, starts another one, and counts.
int conduct(Options options);

}  // namespace group
