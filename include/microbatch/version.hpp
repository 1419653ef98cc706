#pragma once

/// The version of these headers, by semantic versioning; the build system reads it from here. Before 1.0 a minor version may
/// break things. Everything the library declares stands in the inline namespace `v` MAJOR `_` MINOR, so what was compiled
/// against two versions that need not agree can be linked into one program.
#define MICROBATCH_VERSION_MAJOR 0
#define MICROBATCH_VERSION_MINOR 1
#define MICROBATCH_VERSION_PATCH 0

/// One number to compare in `#if`: 0.1.0 is 100, 1.2.3 is 10203.
#define MICROBATCH_VERSION \
  (MICROBATCH_VERSION_MAJOR * 10000 + MICROBATCH_VERSION_MINOR * 100 + MICROBATCH_VERSION_PATCH)
