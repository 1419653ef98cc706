#include <microbatch/core/clock.hpp>

namespace microbatch::inline v0_1 {

Clock& steady_clock() noexcept {
  class SteadyClock final : public Clock {
   public:
    [[nodiscard]] TimePoint now() const noexcept override {
      return std::chrono::time_point_cast<Duration>(std::chrono::steady_clock::now());
    }
  };
  static SteadyClock& clock = *new SteadyClock;  // never destroyed: other statics may outlive us
  return clock;
}

}  // namespace microbatch::inline v0_1
