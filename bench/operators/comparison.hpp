#pragma once

#include <time.h>

#include <cstddef>
#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

namespace bench {

/// One way to do a piece of work; every run does all of it, and checks what came out.
struct Contender {
  std::string name;
  std::function<void()> run;
};

/// Several ways to do the same. The last one is written by hand, or what the others are to be
/// compared with.
struct Comparison {
  std::string title;
  std::size_t items;
  std::vector<Contender> contenders;
};

[[nodiscard]] std::vector<Comparison> keyed_windows(std::size_t items);
[[nodiscard]] std::vector<Comparison> event_time(std::size_t items);
void memory_per_key(std::size_t keys);

inline double seconds_of(clockid_t clock) {
  timespec t{};
  clock_gettime(clock, &t);
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
}

inline void check(bool right) {
  if (!right) throw std::logic_error("items were lost or invented");
}

}  // namespace bench
