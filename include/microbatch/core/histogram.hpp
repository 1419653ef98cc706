#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "atomic.hpp"

namespace microbatch::inline v0_1 {

namespace detail {

class HistogramRecorder;

/// The buckets of all histograms: one each for 0 to 64, from there on 32 for each power of two. A
/// bucket holds what lies above its lower neighbour's bound and up to its own, so a value is told
/// at most 1/32 too high, and counts up to a power of two are exact.
struct HistogramScale {
  static constexpr std::size_t linear_bits = 5;
  static constexpr std::size_t linear = std::size_t{1} << linear_bits;
  static constexpr std::size_t top_bits =
      48;  ///< 78 hours in nanoseconds; what is above is put here
  static constexpr std::size_t size = 1 + linear + (top_bits - linear_bits) * linear;

  [[nodiscard]] static constexpr std::size_t index(std::uint64_t value) noexcept {
    if (value == 0) return 0;
    const std::uint64_t v = std::min(value, std::uint64_t{1} << top_bits) - 1;
    if (v < linear) return 1 + static_cast<std::size_t>(v);
    const auto shift = static_cast<std::size_t>(std::bit_width(v)) - 1 - linear_bits;
    return 1 + shift * linear + static_cast<std::size_t>(v >> shift);
  }
  /// The largest value of a bucket.
  [[nodiscard]] static constexpr std::uint64_t bound(std::size_t index) noexcept {
    if (index <= 2 * linear) return index;
    const std::size_t shift = (index - 1) / linear - 1;
    return (std::uint64_t{linear} + (index - 1) % linear + 1) << shift;
  }
};

}  // namespace detail

/// How often which value came: a snapshot that can be read and added to others.
///
/// Log-linear: values are told at most 3.2 % too high, those up to 64 and max() exactly. Times are
/// in nanoseconds. Values above 2^48 count as that.
/// Threads: as any value.
///
///     const microbatch::Histogram wait = consumer.histograms().wait;
///     fmt::print("p99 {} ns over {} items\n", wait.quantile(0.99), wait.count());
class Histogram {
 public:
  void record(std::uint64_t value, std::uint64_t times = 1) {
    add(detail::HistogramScale::index(value), times);
    sum_ += static_cast<double>(value) * static_cast<double>(times);
    max_ = std::max(max_, value);
  }
  void merge(const Histogram& other) {
    for (std::size_t i = 0; i < other.counts_.size(); ++i) add(i, other.counts_[i]);
    sum_ += other.sum_;
    max_ = std::max(max_, other.max_);
  }

  [[nodiscard]] std::uint64_t count() const noexcept { return count_; }
  [[nodiscard]] bool empty() const noexcept { return count_ == 0; }
  [[nodiscard]] double sum() const noexcept { return sum_; }
  [[nodiscard]] std::uint64_t max() const noexcept { return max_; }
  [[nodiscard]] double mean() const noexcept {
    return count_ == 0 ? 0 : sum_ / static_cast<double>(count_);
  }
  /// The value that a share q of all values does not exceed; q below 0 is 0, above 1 is 1, and 0 of
  /// an empty histogram. quantile(0.5) is the median.
  [[nodiscard]] std::uint64_t quantile(double q) const noexcept {
    const double wanted = std::clamp(q, 0.0, 1.0) * static_cast<double>(count_);
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < counts_.size(); ++i) {
      seen += counts_[i];
      if (seen > 0 && static_cast<double>(seen) >= wanted)
        return std::min(detail::HistogramScale::bound(i), max_);
    }
    return max_;
  }
  /// How many values do not exceed that one; exact for 0 to 64 and for powers of two.
  [[nodiscard]] std::uint64_t count_up_to(std::uint64_t value) const noexcept {
    const std::size_t end = std::min(detail::HistogramScale::index(value) + 1, counts_.size());
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < end; ++i) seen += counts_[i];
    return seen;
  }

 private:
  friend class detail::HistogramRecorder;

  void add(std::size_t index, std::uint64_t times) {
    if (times == 0) return;
    if (counts_.size() <= index) counts_.resize(index + 1);
    counts_[index] += times;
    count_ += times;
  }

  std::vector<std::uint64_t> counts_;  // by bucket, up to the last one that holds something
  std::uint64_t count_ = 0;
  double sum_ = 0;
  std::uint64_t max_ = 0;
};

namespace detail {

/// Where one thread at a time records and any thread reads meanwhile; a reader may see a value's
/// count before its sum.
class HistogramRecorder {
 public:
  void record(std::uint64_t value, std::uint64_t times = 1) noexcept {
    count(HistogramScale::index(value), times);
    note(static_cast<double>(value) * static_cast<double>(times), value);
  }
  /// Many values at once, for a range of numbers.
  template <class Values>
  void record_all(const Values& values) noexcept {
    double sum = 0;
    std::uint64_t max = 0;
    std::size_t last = 0;
    std::uint64_t run = 0;  // neighbours mostly share a bucket: one store for all of them
    for (const std::uint64_t value : values) {
      const std::size_t index = HistogramScale::index(value);
      if (index != last && run > 0) count(last, run), run = 0;
      last = index;
      ++run;
      sum += static_cast<double>(value);
      max = std::max(max, value);
    }
    if (run > 0) count(last, run);
    note(sum, max);
  }

  void add_to(Histogram& histogram) const {
    for (std::size_t i = 0; i < counts_.size(); ++i)
      histogram.add(i, counts_[i].load(std::memory_order_relaxed));
    histogram.sum_ += sum_.load(std::memory_order_relaxed);
    histogram.max_ = std::max(histogram.max_, max_.load(std::memory_order_relaxed));
  }

 private:
  void count(std::size_t index, std::uint64_t times) noexcept {
    auto& n = counts_[index];
    n.store(n.load(std::memory_order_relaxed) + times, std::memory_order_relaxed);
  }
  void note(double sum, std::uint64_t value) noexcept {
    sum_.store(sum_.load(std::memory_order_relaxed) + sum, std::memory_order_relaxed);
    if (value > max_.load(std::memory_order_relaxed)) max_.store(value, std::memory_order_relaxed);
  }

  // Written by one thread at a time, read by any. Relaxed: numbers to look at, they publish
  // nothing.
  std::array<Atomic<std::uint64_t>, HistogramScale::size> counts_{};
  Atomic<double> sum_{0};
  Atomic<std::uint64_t> max_{0};
};

}  // namespace detail

/// How windows went, since the consumer began; empty where ConsumerOptions::histograms is off.
struct Histograms {
  Histogram window_size;  ///< items, as emitted
  Histogram wait;         ///< ns from append to emit, by item; on stamped streams only
  Histogram callback;     ///< ns in the callback, by attempt
  Histogram settle;       ///< ns from emit until the window's last item has ended
};

}  // namespace microbatch::inline v0_1
