// Streams without a thread of theirs: three engines on the program's own event loop, which sleeps
// in poll() until a producer wakes it or an engine's time has come.

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <microbatch/microbatch.hpp>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <vector>

using namespace std::chrono_literals;
using microbatch::TimePoint;

namespace {

/// Makes poll() return from another thread: one end of a pipe is watched, the other one written to.
class Waker {
 public:
  Waker() {
    if (pipe(ends_) != 0) throw std::system_error(errno, std::generic_category(), "pipe");
    for (const int end : ends_) fcntl(end, F_SETFL, O_NONBLOCK);
  }
  Waker(const Waker&) = delete;
  Waker& operator=(const Waker&) = delete;
  ~Waker() {
    for (const int end : ends_) close(end);
  }

  void wake() const { (void)!write(ends_[1], "!", 1); }  // a full pipe wakes, too
  void sleep_until(TimePoint time) const {
    pollfd watched{.fd = ends_[0], .events = POLLIN, .revents = 0};
    (void)::poll(&watched, 1, milliseconds_until(time));
    char bytes[64];
    while (read(ends_[0], bytes, sizeof bytes) > 0) continue;
  }

 private:
  static int milliseconds_until(TimePoint time) {
    if (time == microbatch::never) return -1;
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(time - std::chrono::steady_clock::now());
    return static_cast<int>(std::clamp<std::chrono::milliseconds::rep>(left.count(), 0, 60'000));
  }

  int ends_[2];
};

}  // namespace

int main() {
  using namespace microbatch;

  const std::thread::id loop_thread = std::this_thread::get_id();
  bool all_on_the_loop = true;
  const auto print_as = [&](std::string_view name) {
    return [&, name](Window<std::string>& window) {
      all_on_the_loop &= std::this_thread::get_id() == loop_thread;
      fmt::print("{:<7} {}\n", name, window);
    };
  };

  Stream<std::string> logs, metrics, alerts;
  std::vector<Engine<std::string>> engines;
  engines.emplace_back(logs, CountWindow{100}, print_as("logs"));
  engines.emplace_back(metrics, RelaxedTimeWindow{20ms}, print_as("metrics"));
  engines.emplace_back(alerts, CountWindow{1}, print_as("alerts"));

  const Waker waker;
  for (auto& engine : engines) engine.on_wake([&] { waker.wake(); });

  std::atomic<bool> produced = false;
  std::jthread producer([&] {
    for (int i = 1; i <= 250; ++i) {
      logs.append(fmt::format("line {}", i));
      if (i % 10 == 0) metrics.append(fmt::format("lines={}", i));
      if (i == 125) alerts.append("half of it is done");
      std::this_thread::sleep_for(200us);
    }
    produced = true;
    waker.wake();
  });

  int rounds = 0;
  bool closing = false;
  while (!std::ranges::all_of(engines, &Engine<std::string>::finished)) {
    TimePoint next = never;
    for (auto& engine : engines)
      next = std::min(next, engine.step(std::chrono::steady_clock::now()));
    waker.sleep_until(next);
    ++rounds;
    if (produced && !closing) {
      closing = true;
      for (auto& engine : engines) engine.close();
    }
  }

  std::uint64_t delivered = 0;
  for (auto& engine : engines) delivered += engine.stats().delivered;
  fmt::print("{} items in {} rounds of one loop\n", delivered, rounds);
  return delivered == 250 + 25 + 1 && all_on_the_loop ? 0 : 1;
}
