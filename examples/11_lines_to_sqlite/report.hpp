#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <microbatch/core/clock.hpp>
#include <microbatch/core/stats.hpp>
#include <mutex>
#include <string>
#include <thread>

namespace lines {

/// 1234567 as "1,234,567".
[[nodiscard]] std::string grouped(std::uint64_t number);

/// How long things took, to within 5 %. Threads: any.
class Latencies {
 public:
  /// Locks once for many: `f(add)` calls `add(duration)` for each.
  template <class F>
  void record(F&& f) {
    const std::lock_guard lock(mutex_);
    f([this](microbatch::Duration latency) { ++buckets_[bucket_of(latency)]; });
  }
  /// So much, or less, is what this share of them took; in milliseconds.
  [[nodiscard]] double quantile(double share) const;

 private:
  static constexpr std::size_t bucket_count = 512;  // from 1 us, each one 5 % wider
  [[nodiscard]] static std::size_t bucket_of(microbatch::Duration latency);

  mutable std::mutex mutex_;
  std::array<std::uint64_t, bucket_count> buckets_{};
};

/// One line on the terminal, drawn anew five times a second until it is destroyed. Where standard
/// error is no terminal, nothing.
class Progress {
 public:
  Progress(std::function<microbatch::Stats()> stats, std::function<bool()> ending);

 private:
  void draw(const std::stop_token& stop);

  std::function<microbatch::Stats()> stats_;
  std::function<bool()> ending_;
  std::jthread artist_;
};

/// Tells on standard error what goes wrong in the background: the same thing once. Threads: any.
class Warnings {
 public:
  void warn(const std::string& text);

 private:
  std::mutex mutex_;
  std::string last_;
};

/// Windows by reason: "149 by count, 1 by close".
[[nodiscard]] std::string reasons(const microbatch::Stats& stats);

/// Both equations of the ledger, on lines of less than 80 columns.
void print_ledger(const microbatch::Stats& stats);

}  // namespace lines
