#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include "workload.hpp"

namespace tune {

inline constexpr std::size_t most_workers = 256;

/// Which values are tried; empty: those that suit the workload.
struct Candidates {
  std::vector<std::size_t> windows;
  std::vector<Duration> ages;
  std::vector<std::size_t> workers;
  std::vector<std::size_t> capacities;
};

struct Options {
  Workload workload;
  Candidates candidates;
  std::uint64_t seed = 1;
  Seconds run{60};  ///< about so long
  std::string page = "tune.html";
  bool help = false;
};

/// What the user asked for cannot be understood, or cannot be had.
class BadOption : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

[[nodiscard]] Options parse_options(int count, const char* const* arguments);

extern const char* const help_text;

}  // namespace tune
