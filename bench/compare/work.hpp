#pragma once

#include <time.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>

namespace contest {

// The same work for every contender: items of so many bytes, in windows, to a callback that sums.

inline constexpr std::size_t capacity = 65'536;  // of every contender that has one; see also Setup
inline constexpr std::size_t usual_window = 1024;
inline constexpr std::size_t wide_windows[]{16'384, 1'048'576};
inline constexpr std::size_t item_sizes[]{8, 64, 256};
inline constexpr std::size_t producer_counts[]{1, 2, 4, 8};
inline constexpr std::size_t crowds[]{1, 100, 1000};  // of producers that append once

template <std::size_t Bytes>
struct Item {
  static_assert(Bytes % sizeof(std::uint64_t) == 0);
  std::uint64_t words[Bytes / sizeof(std::uint64_t)];
};

template <std::size_t Bytes>
Item<Bytes> item_of(std::uint64_t value) {
  Item<Bytes> item{};
  item.words[0] = value;
  return item;
}

inline std::uint64_t now_ns() {
  return static_cast<std::uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
}

/// Processor time of the whole process so far.
inline double processor_ms() {
  timespec t{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) * 1e3 + static_cast<double>(t.tv_nsec) / 1e6;
}

/// The callback of the throughput runs.
struct Sum {
  std::uint64_t total = 0;
  std::uint64_t items = 0;

  template <class I>
  void operator()(std::span<const I> window) {
    for (const I& item : window) total += item.words[0];
    items += window.size();
  }
};

/// What a contender is built with.
struct Setup {
  std::size_t window = usual_window;
  std::size_t room = capacity;  // more where a window needs it
};

}  // namespace contest
