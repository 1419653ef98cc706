// Technique 8 of 8, monitoring: a stream that is watched by another one. A thread looks at the
// ledger of a busy stream again and again; a sliding window over what it saw tells the rate, and an
// alarm goes off when too much waits.

#include <fmt/format.h>

#include <atomic>
#include <microbatch/microbatch.hpp>
#include <optional>
#include <thread>

namespace {

struct Sample {
  std::uint64_t delivered;
  std::uint64_t waiting;
};

}  // namespace

int main() {
  using namespace microbatch;
  using namespace std::chrono_literals;
  std::atomic<bool> stuck{true};
  Stream<int> work({.name = "work", .capacity = 1000});
  auto worker = streaming(work, CountWindow{10}, [&](std::span<const int>) {
    stuck.wait(true);  // for a while nothing goes on
  });

  Stream<Sample> samples;
  std::atomic<std::uint64_t> alarms{0};
  std::optional<Sample> last;
  std::uint64_t seen = 0;
  auto watcher = streaming(samples, SlidingCountWindow{5, 1}, [&](std::span<const Sample> window) {
    const Sample& now = window.back();
    if (now.waiting > 500 && now.delivered == window.front().delivered) ++alarms;
    seen += now.delivered - (last ? last->delivered : 0);
    last = now;
  });
  const auto look = [&] {
    const Stats stats = work.stats();
    samples.append({stats.delivered, stats.pending + stats.in_flight});
    return stats.balances();
  };

  bool balanced = true;
  for (int i = 0; i < 600; ++i) work.append(i);
  while (alarms == 0) balanced = look() && balanced;  // the watcher notices
  stuck = false;
  stuck.notify_all();
  worker.close();
  balanced = look() && balanced;
  watcher.close();

  const Stats stats = work.stats();
  fmt::print("{}\n{} alarms while it was stuck; {} items watched\n", stats, alarms.load(), seen);
  return balanced && seen == 600 ? 0 : 1;
}
