#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <string>
#include <thread>
#include <vector>

/// Short by default; MICROBATCH_STRESS=<factor> in the environment makes the stress tests longer.
namespace stress {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool sanitized = true;
#elif defined(__has_feature)
inline constexpr bool sanitized =
    __has_feature(address_sanitizer) || __has_feature(thread_sanitizer);
#else
inline constexpr bool sanitized = false;
#endif

inline std::size_t scaled(std::size_t n) {
  static const double factor = [] {
    const char* text = std::getenv("MICROBATCH_STRESS");
    const double value = text != nullptr ? std::atof(text) : 1.0;
    return value > 0 ? value : 1.0;
  }();
  return static_cast<std::size_t>(static_cast<double>(n) * factor) + 1;
}

/// MICROBATCH_SEED in the environment; without it, another one each time. To be printed.
inline std::uint64_t seed() {
  if (const char* text = std::getenv("MICROBATCH_SEED")) return std::strtoull(text, nullptr, 10);
  return static_cast<std::uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
}

/// Runs body(0) to body(n - 1), each on a thread of its own, and joins them at its end.
class Threads {
 public:
  Threads(std::size_t n, const std::function<void(std::uint32_t)>& body) {
    for (std::uint32_t i = 0; i < n; ++i) threads_.emplace_back(body, i);
  }
  void join() { threads_.clear(); }

 private:
  std::vector<std::jthread> threads_;
};

}  // namespace stress
