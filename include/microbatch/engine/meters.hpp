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
    if (auto* recorders = recorders_or_null()) recorders->size.record(items);
  }
  void settled(Duration since_emitted) noexcept {
    if (auto* recorders = recorders_or_null()) recorders->settle.record(nanoseconds(since_emitted));
  }

  /// For a thread that is about to run a callback, until it gives it back; null where nothing is
  /// measured (or there is no memory for it).
  [[nodiscard]] CallMeter* lend() noexcept {
    auto* recorders = recorders_or_null();
    if (recorders == nullptr) return nullptr;
    auto& [size, settle, calls, free] = *recorders;
    try {
      if (free.empty()) {
        free.reserve(calls.size() + 1);
        calls.push_back(std::make_unique<CallMeter>());
        free.push_back(calls.back().get());
      }
    } catch (...) {
      return nullptr;
    }
    CallMeter* meter = free.back();
    free.pop_back();
    return meter;
  }
  void give_back(CallMeter* meter) noexcept {
    if (meter != nullptr) recorders_->free.push_back(meter);
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
    if (!recorders_) return all;
    all.size = &recorders_->size;
    all.settle = &recorders_->settle;
    all.calls.reserve(recorders_->calls.size());
    for (const auto& meter : recorders_->calls) all.calls.push_back(meter.get());
    return all;
  }

 private:
  struct Recorders {
    HistogramRecorder size;
    HistogramRecorder settle;
    std::vector<std::unique_ptr<CallMeter>> calls;
    std::vector<CallMeter*> free;  // of these, those that are not lent
  };

  /// Made with the first window, so that an idle stream stays small.
  [[nodiscard]] Recorders* recorders_or_null() noexcept {
    if (!on_ || recorders_) return recorders_.get();
    try {
      recorders_ = std::make_unique<Recorders>();
    } catch (...) {  // no memory: not measured
    }
    return recorders_.get();
  }

  const bool on_;
  std::unique_ptr<Recorders> recorders_;
};

}  // namespace microbatch::inline v0_1::detail
