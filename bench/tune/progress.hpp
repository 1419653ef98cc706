#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <stop_token>
#include <string>
#include <thread>

namespace tune {

/// One stage of the work, from its construction to its destruction, told on standard error: a line
/// with the time it took, and on a terminal, meanwhile, how far it is.
class Stage {
 public:
  Stage(std::string name, std::size_t steps);
  Stage(const Stage&) = delete;
  Stage& operator=(const Stage&) = delete;
  ~Stage();

  /// One step is done. Any thread.
  void step() noexcept { done_.fetch_add(1, std::memory_order_relaxed); }

 private:
  void draw(const std::stop_token& stop) const;

  const std::string name_;
  const std::size_t steps_;
  const std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
  std::atomic<std::size_t> done_{0};
  std::jthread artist_;  // where there is a terminal
};

}  // namespace tune
