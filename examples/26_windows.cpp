// Technique 2 of 8, windows: the same items cut in four ways. The items are real: when the files of
// this machine's /etc were written, in order.

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <microbatch/microbatch.hpp>
#include <vector>

namespace {

std::vector<std::chrono::nanoseconds> when_written(const std::filesystem::path& folder) {
  std::vector<std::chrono::nanoseconds> times;
  std::error_code unreadable;
  for (const auto& entry : std::filesystem::directory_iterator(folder, unreadable))
    if (const auto t = entry.last_write_time(unreadable); !unreadable)
      times.push_back(std::chrono::file_clock::to_sys(t).time_since_epoch());
  std::ranges::sort(times);
  return times;
}

template <class E>
std::size_t show(const char* what, const std::vector<std::chrono::nanoseconds>& times, E emitter) {
  using namespace microbatch;
  std::size_t windows = 0;
  std::uint64_t items = 0;
  auto flow = from(times) | window(std::move(emitter)) | count() | to([&](const auto& result) {
                ++windows;
                items += result.value;
              });
  flow.run();
  fmt::print("{:<32} {:>4} windows, {:>5} items in them\n", what, windows, items);
  return items;
}

}  // namespace

int main() {
  using namespace microbatch;
  auto times = when_written("/etc");
  if (times.empty()) times = when_written(".");  // where there is no /etc
  const std::size_t n = times.size();
  const auto itself = [](std::chrono::nanoseconds t) { return t; };
  // A folder has a long past: no time in it is too far ahead to be believed.
  const EventTimeOptions rules{.max_jump = Duration::max()};

  const bool once = show("ten files", times, CountWindow{10}) == n;
  const bool twice = show("the last ten, every five", times, SlidingCountWindow{10, 5}) >= n;
  const bool daily =
      show("each day", times, TumblingWindow{std::chrono::hours(24), itself, rules}) == n;
  const bool bursts = show("bursts, an hour apart", times,
                           SessionWindow{std::chrono::hours(1), itself, rules}) == n;
  return n > 0 && once && twice && daily && bursts ? 0 : 1;
}
