// An engine on an epoll loop, and an orderly end on SIGTERM: one thread sleeps in epoll_wait()
// until a producer wakes it, the engine's time has come, or a signal asks it to end. Then it takes
// no more input, delivers what is in, and returns.

#include <fmt/format.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <microbatch/microbatch.hpp>
#include <system_error>
#include <thread>

using namespace std::chrono_literals;
using microbatch::TimePoint;

namespace {

/// A file descriptor that is ours.
class Descriptor {
 public:
  Descriptor(int fd, const char* made_by) : fd_(fd) {
    if (fd < 0) throw std::system_error(errno, std::generic_category(), made_by);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() { close(fd_); }
  operator int() const noexcept { return fd_; }  // NOLINT(google-explicit-constructor)

 private:
  const int fd_;
};

/// SIGTERM and SIGINT as something to read. Blocked first, before any thread starts: threads
/// inherit the mask, and none of them is to be interrupted.
sigset_t block_end_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  return signals;
}

/// The engine's times are the steady clock's, as timerfd's are; `never` disarms it.
void set_timer(int timer, TimePoint next) {
  itimerspec at{};
  if (next != microbatch::never) {
    const auto ns = std::max(next.time_since_epoch(), microbatch::Duration(1));  // 0 would disarm
    at.it_value.tv_sec = ns / 1s;
    at.it_value.tv_nsec = (ns % 1s).count();
  }
  timerfd_settime(timer, TFD_TIMER_ABSTIME, &at, nullptr);
}

}  // namespace

int main() {
  using namespace microbatch;

  const sigset_t signals = block_end_signals();
  const Descriptor loop(epoll_create1(EPOLL_CLOEXEC), "epoll_create1");
  const Descriptor woken(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC), "eventfd");
  const Descriptor timer(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC),
                         "timerfd_create");
  const Descriptor ended(signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC), "signalfd");
  for (const int fd : {int(woken), int(timer), int(ended)}) {
    epoll_event event{.events = EPOLLIN, .data = {.fd = fd}};
    if (epoll_ctl(loop, EPOLL_CTL_ADD, fd, &event) != 0)
      throw std::system_error(errno, std::generic_category(), "epoll_ctl");
  }

  Stream<int> readings({.name = "readings"});
  std::uint64_t handled = 0;
  Engine<int> engine(readings, any_of(CountWindow{100}, MaxAgeWindow{5ms}),
                     [&](Window<int>& window) { handled += window.size(); });
  engine.on_wake([&] { (void)eventfd_write(woken, 1); });  // from any thread, also while it sleeps

  std::uint64_t accepted = 0;
  std::jthread producer([&] {
    for (int i = 0; readings.append(i) == AppendResult::accepted; ++i) {
      ++accepted;
      if (i == 2500) kill(getpid(), SIGTERM);  // as an operator would; it appends on regardless
      if (i % 50 == 0) std::this_thread::sleep_for(1ms);
    }
  });

  while (!engine.finished()) {
    set_timer(timer, engine.step(std::chrono::steady_clock::now()));
    if (engine.finished()) break;
    epoll_event events[4];
    const int n = epoll_wait(loop, events, 4, -1);
    for (int i = 0; i < n; ++i) {
      const int fd = events[i].data.fd;
      if (fd == ended) {
        fmt::print("asked to end: no more input, what is in is delivered\n");
        engine.close();
      }
      char bytes[sizeof(signalfd_siginfo)];
      (void)!read(fd, bytes, sizeof bytes);
    }
  }
  producer.join();
  fmt::print("{} accepted, {} handled\n", accepted, handled);
  return accepted > 2500 && handled == accepted ? 0 : 1;
}
