#pragma once

#include <cstddef>
#include <memory>
#include <mutex>
#include <string>

#include "histogram.hpp"
#include "stats.hpp"

namespace microbatch::inline v0_1 {

/// What a consumer tells about itself and its stream.
struct Sample {
  std::string stream{};  ///< StreamOptions::name
  std::size_t capacity = 0;
  Stats stats{};
  bool measured = false;  ///< ConsumerOptions::histograms was on
  Histograms histograms{};
};

namespace detail {

class Sampled {
 public:
  [[nodiscard]] virtual Sample sample() = 0;

 protected:
  ~Sampled() = default;
};

}  // namespace detail

/// The way from metrics to a consumer that may end at any time. It keeps nothing alive.
///
/// Threads: any.
class Probe {
 public:
  explicit Probe(detail::Sampled& sampled) noexcept : sampled_(&sampled) {}

  /// False when the consumer is gone.
  [[nodiscard]] bool read(Sample& sample) const {
    std::lock_guard lock(mutex_);
    if (sampled_ == nullptr) return false;
    sample = sampled_->sample();
    return true;
  }
  [[nodiscard]] bool gone() const {
    std::lock_guard lock(mutex_);
    return sampled_ == nullptr;
  }

  /// By the one that is sampled, at its end: waits for a reading that is under way, so that nothing
  /// of it is destroyed by a reader.
  void cut() noexcept {
    std::lock_guard lock(mutex_);
    sampled_ = nullptr;
  }

 private:
  mutable std::mutex mutex_;
  detail::Sampled* sampled_;
};

}  // namespace microbatch::inline v0_1
