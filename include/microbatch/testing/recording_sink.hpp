#pragma once

#include <cstddef>
#include <mutex>
#include <span>
#include <stdexcept>
#include <vector>

namespace microbatch::inline v0_1::testing {

/// A sink that remembers what it was given, and fails when it is told to.
///
/// Threads: any. Hand it over by std::ref to look into it afterwards.
template <class R>
class RecordingSink {
 public:
  void put(std::span<const R> results) {
    std::lock_guard lock(mutex_);
    ++puts_;
    if (failures_ > 0) {
      --failures_;
      throw std::runtime_error("RecordingSink: told to fail");
    }
    results_.insert(results_.end(), results.begin(), results.end());
  }
  void close() {
    std::lock_guard lock(mutex_);
    ++closes_;
  }

  /// The next n puts throw.
  void fail_next(std::size_t n) {
    std::lock_guard lock(mutex_);
    failures_ = n;
  }
  [[nodiscard]] std::vector<R> results() const {
    std::lock_guard lock(mutex_);
    return results_;
  }
  /// How often put() was called, failures included.
  [[nodiscard]] std::size_t puts() const {
    std::lock_guard lock(mutex_);
    return puts_;
  }
  [[nodiscard]] std::size_t closes() const {
    std::lock_guard lock(mutex_);
    return closes_;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<R> results_;
  std::size_t puts_ = 0;
  std::size_t closes_ = 0;
  std::size_t failures_ = 0;
};

}  // namespace microbatch::inline v0_1::testing
