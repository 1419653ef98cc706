#pragma once

#include <chrono>
#include <cstddef>
#include <stdexcept>
#include <string>

namespace lines {

struct Options {
  std::string input;     ///< empty: whatever this machine has
  std::string database;  ///< empty: lines.db, made anew
  std::string dead_letters = "lines.dead-letters.txt";
  std::size_t window = 1'000;
  std::chrono::milliseconds age{50};
  std::size_t producers = 2;
  std::size_t workers = 2;
  bool compare = false;
  bool help = false;
};

/// What the user typed cannot be understood.
class BadOption : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

[[nodiscard]] Options parse_options(int count, const char* const* arguments);

extern const char* const help_text;

}  // namespace lines
