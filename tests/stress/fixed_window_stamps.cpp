// FixedTimeWindow under concurrent producers and the real clock. Each producer reads the clock
// before and after its append: the item's stamp lies between the two.
//
// Allowed:   windows of any size; a window that comes late.
// Forbidden: a window whose bounds cannot hold the stamp of one of its items; an item in two
// windows
//            or in none; bounds that are off the grid, overlap or go back.

#include "support/catch.hpp"
#include "support/stress.hpp"

#include <microbatch/microbatch.hpp>

#include <atomic>
#include <map>
#include <set>

using namespace microbatch;
using namespace std::chrono_literals;

namespace {

struct Stamped {
  TimePoint before;
  std::uint32_t producer;
  std::uint32_t number;
};

}  // namespace

TEST_CASE("every item is in the fixed window of its arrival, and in no other", "[stress]") {
  const Duration interval = GENERATE(as<Duration>{}, 20us, 300us, 5ms);
  const bool slow = GENERATE(false, true);
  CAPTURE(interval.count(), slow);
  constexpr std::size_t producers = 4;
  const std::uint32_t each = static_cast<std::uint32_t>(stress::scaled(1500));
  const TimePoint origin = steady_clock().now();

  struct Seen {
    TimePoint opened;
    TimePoint closed;
    int times = 0;
  };
  std::vector<std::vector<Seen>> seen(producers, std::vector<Seen>(each));
  std::vector<std::vector<TimePoint>> after(producers, std::vector<TimePoint>(each));
  std::uint64_t off_grid = 0;
  std::uint64_t backwards = 0;
  std::uint64_t too_early = 0;
  Reason last_reason = Reason::none;
  TimePoint last_opened = TimePoint::min();
  TimePoint last_closed = TimePoint::min();

  Stream<Stamped> stream({.capacity = 4096});
  auto consumer = streaming(
      stream, FixedTimeWindow(interval, {.origin = origin}), [&](Window<Stamped>& window) {
        if ((window.opened_at() - origin) % interval != Duration::zero() ||
            window.closed_at() - window.opened_at() != interval)
          ++off_grid;
        // A full stream splits a cell: then the next window has the same bounds.
        const bool rest_of_cell =
            last_reason != Reason::interval && window.opened_at() == last_opened;
        if (window.opened_at() < last_closed && !rest_of_cell) ++backwards;
        if (window.reason() == Reason::interval && steady_clock().now() < window.closed_at())
          ++too_early;
        last_reason = window.reason();
        last_opened = window.opened_at();
        last_closed = window.closed_at();
        for (const Stamped& item : window) {
          Seen& s = seen[item.producer][item.number];
          s.opened = window.opened_at();
          s.closed = window.closed_at();
          ++s.times;
          if (item.before >= window.closed_at()) ++off_grid;
        }
        if (slow) std::this_thread::sleep_for(interval / 2);
      });
  {
    const stress::Threads threads(producers, [&](std::uint32_t me) {
      for (std::uint32_t i = 0; i < each; ++i) {
        while (stream.append(Stamped{steady_clock().now(), me, i}) != AppendResult::accepted)
          std::this_thread::yield();
        after[me][i] = steady_clock().now();
        if (i % 50 == 49 && !slow) std::this_thread::yield();
      }
    });
  }
  consumer.close();
  std::uint64_t wrong = 0;
  std::uint64_t not_once = 0;
  for (std::size_t p = 0; p < producers; ++p)
    for (std::uint32_t i = 0; i < each; ++i) {
      const Seen& s = seen[p][i];
      if (s.times != 1) ++not_once;
      // before <= stamp <= after and opened <= stamp < closed must both be possible.
      if (s.opened > after[p][i]) ++wrong;
    }
  CHECK(wrong == 0);
  CHECK(not_once == 0);
  CHECK(off_grid == 0);
  CHECK(backwards == 0);
  CHECK(too_early == 0);
  CHECK(consumer.stats().delivered == producers * each);
}
