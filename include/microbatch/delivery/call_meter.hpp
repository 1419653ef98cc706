#pragma once

#include <cstddef>
#include <cstdint>
#include <ranges>

#include "../core/clock.hpp"
#include "../core/histogram.hpp"
#include "../core/item_buffer.hpp"

namespace microbatch::inline v0_1::detail {

[[nodiscard]] constexpr std::uint64_t nanoseconds(Duration d) noexcept {
  return d > Duration::zero() ? static_cast<std::uint64_t>(d.count()) : 0;
}

/// What a thread that runs callbacks measures. Threads: one at a time records, any reads.
struct CallMeter {
  HistogramRecorder wait;
  HistogramRecorder callback;

  /// How long the items of a window have waited; nothing where they have no stamps.
  template <class T>
  void waited(const ItemBuffer<T>& items, TimePoint emitted_at) noexcept {
    if (items.empty()) return;
    const TimePoint* stamps = items.slots().stamps.get();
    if (stamps == nullptr) return;
    stamps += items.slot(0);
    wait.record_all(
        std::ranges::subrange(stamps, stamps + items.size()) |
        std::views::transform([&](TimePoint stamp) { return nanoseconds(emitted_at - stamp); }));
  }
};

/// Measures how long it lives: a callback's call. Without a meter it does nothing.
class CallTime {
 public:
  CallTime(CallMeter* meter, const Clock& clock) noexcept
      : meter_(meter), clock_(clock), begun_(meter == nullptr ? TimePoint{} : clock.now()) {}
  CallTime(const CallTime&) = delete;
  CallTime& operator=(const CallTime&) = delete;
  ~CallTime() {
    if (meter_ != nullptr) meter_->callback.record(nanoseconds(clock_.now() - begun_));
  }

 private:
  CallMeter* const meter_;
  const Clock& clock_;
  const TimePoint begun_;
};

}  // namespace microbatch::inline v0_1::detail
