// An emitter of one's own: it waits for so many even numbers and lets them leave sorted. The odd
// ones it never wants; they stay pending, and stop() hands them back.

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <microbatch/microbatch.hpp>
#include <vector>

namespace {

/// Windows of `interval` even numbers, in ascending order.
class SortedEvens {
 public:
  explicit SortedEvens(std::size_t interval) : interval_(interval) {}

  /// The verdict, and when to ask again: not before the missing items can have come.
  microbatch::Readiness window_ready(microbatch::Pending<int>& pending, microbatch::TimePoint) {
    const std::size_t evens = evens_in(pending).size();
    if (evens < interval_) return {.at_items = pending.size() + interval_ - evens};
    return {.ready = true, .reason = microbatch::Reason::custom};
  }

  /// Which items leave, in which order. Also asked when a partial window is wanted (flush).
  void query(microbatch::Pending<int>& pending, microbatch::Draft<int>& draft,
             const microbatch::Readiness&) {
    std::vector<std::size_t> chosen = evens_in(pending);
    chosen.resize(std::min(chosen.size(), interval_));
    std::ranges::sort(chosen, {}, [&](std::size_t i) { return pending[i]; });
    for (const std::size_t i : chosen) draft.take(i);
  }

 private:
  static std::vector<std::size_t> evens_in(const microbatch::Pending<int>& pending) {
    std::vector<std::size_t> indices;
    for (std::size_t i = 0; i < pending.size(); ++i)
      if (pending[i] % 2 == 0) indices.push_back(i);
    return indices;
  }

  std::size_t interval_;
};

}  // namespace

int main() {
  const std::vector<int> numbers{9, 4, 7, 8, 2, 5, 6, 1, 0, 10, 3, 12};
  std::vector<std::vector<int>> windows;

  microbatch::Stream<int> stream;
  auto consumer =
      microbatch::streaming(stream, SortedEvens{3}, [&](microbatch::Window<int>& window) {
        fmt::print("{:<38}{}\n", fmt::format("{}", window), fmt::join(window, " "));
        windows.emplace_back(window.begin(), window.end());
      });

  fmt::print("{:<38}{}\n", "appended", fmt::join(numbers, " "));
  const auto appended = stream.append_range(numbers);
  consumer.flush();  // the partial window, too
  const auto end = consumer.stop();
  fmt::print("{:<38}{}\n", "never wanted, handed back", fmt::join(end.handed_back, " "));

  const bool all_in = appended.accepted == numbers.size();
  const bool as_expected = windows == std::vector<std::vector<int>>{{2, 4, 8}, {0, 6, 10}, {12}} &&
                           end.handed_back == std::vector<int>{9, 7, 5, 1, 3};
  return all_in && as_expected && consumer.stats().balances() ? 0 : 1;
}
