#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "../core/clock.hpp"
#include "../core/histogram.hpp"
#include "../delivery/call_meter.hpp"

namespace microbatch::inline v0_1::detail {

/// Measures windows, where that is asked for: their sizes and lives under the token, waits and
/// callbacks on the threads that run them, each with recorders of its own.
///
/// Threads: whoever holds the token. What sources() lists may be read without.
class Meters {
 public:
  explicit Meters(bool on) : on_(on) {}

  [[nodiscard]] bool on() const noexcept { return on_; }

  void emitted(std::size_t items) noexcept {
    if (auto* windows = windows_or_null()) windows->size.record(items);
  }
  void settled(Duration since_emitted) noexcept {
    if (auto* windows = windows_or_null()) windows->settle.record(nanoseconds(since_emitted));
  }

  /// For a thread that is about to run a callback, until it gives it back; null where nothing is
  /// measured (or there is no memory for it).
  [[nodiscard]] CallMeter* lend() noexcept {
    if (!on_) return nullptr;
    try {
      if (free_.empty()) {
        free_.reserve(calls_.size() + 1);
        calls_.push_back(std::make_unique<CallMeter>());
        free_.push_back(calls_.back().get());
      }
    } catch (...) {
      return nullptr;
    }
    CallMeter* meter = free_.back();
    free_.pop_back();
    return meter;
  }
  void give_back(CallMeter* meter) noexcept {
    if (meter != nullptr) free_.push_back(meter);
  }

  /// All recorders there are; they live as long as this object.
  struct Sources {
    const HistogramRecorder* size = nullptr;
    const HistogramRecorder* settle = nullptr;
    std::vector<const CallMeter*> calls;

    [[nodiscard]] Histograms merged() const {
      Histograms all;
      if (size != nullptr) size->add_to(all.window_size);
      if (settle != nullptr) settle->add_to(all.settle);
      for (const CallMeter* meter : calls) {
        meter->wait.add_to(all.wait);
        meter->callback.add_to(all.callback);
      }
      return all;
    }
  };
  [[nodiscard]] Sources sources() const {
    Sources all;
    if (windows_) {
      all.size = &windows_->size;
      all.settle = &windows_->settle;
    }
    all.calls.reserve(calls_.size());
    for (const auto& meter : calls_) all.calls.push_back(meter.get());
    return all;
  }

 private:
  struct WindowMeter {
    HistogramRecorder size;
    HistogramRecorder settle;
  };

  /// Made with the first window, so that an idle stream stays small.
  [[nodiscard]] WindowMeter* windows_or_null() noexcept {
    if (!on_ || windows_) return windows_.get();
    try {
      windows_ = std::make_unique<WindowMeter>();
    } catch (...) {  // no memory: not measured
    }
    return windows_.get();
  }

  const bool on_;
  std::unique_ptr<WindowMeter> windows_;
  std::vector<std::unique_ptr<CallMeter>> calls_;
  std::vector<CallMeter*> free_;
};

}  // namespace microbatch::inline v0_1::detail
