#include "progress.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <condition_variable>
#include <cstdio>
#include <mutex>
#include <utility>

namespace tune {

using namespace std::chrono_literals;

Stage::Stage(std::string name, std::size_t steps) : name_(std::move(name)), steps_(steps) {
  if (isatty(STDERR_FILENO) == 1)
    artist_ = std::jthread([this](const std::stop_token& stop) { draw(stop); });
}

Stage::~Stage() {
  const bool drawn = artist_.joinable();
  if (drawn) {
    artist_.request_stop();
    artist_.join();
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin_;
  fmt::print(stderr, "{}{:<66} {:5.1f} s\n", drawn ? "\r\x1b[K" : "", name_, took.count());
  (void)std::fflush(stderr);
}

void Stage::draw(const std::stop_token& stop) const {
  std::mutex mutex;
  std::condition_variable_any stopped;
  for (std::unique_lock lock(mutex); !stop.stop_requested();) {
    fmt::print(stderr, "\r{:<66} {} of {}\x1b[K", name_, done_.load(std::memory_order_relaxed),
               steps_);
    (void)std::fflush(stderr);
    stopped.wait_for(lock, stop, 100ms, [] { return false; });
  }
}

}  // namespace tune
