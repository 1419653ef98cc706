#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "contenders/all.hpp"
#include "work.hpp"

namespace contest {

/// Notes how long ago the last item of each window was appended.
struct HandOff {
  std::vector<double> micros;

  template <class I>
  void operator()(std::span<const I> window) {
    if (window.size() == usual_window)
      micros.push_back(static_cast<double>(now_ns() - window.back().words[0]) / 1e3);
  }
};

struct Percentiles {
  double p50 = 0;
  double p99 = 0;
  double p999 = 0;
};

inline Percentiles percentiles(std::vector<double>& values) {
  if (values.empty()) throw std::logic_error("nothing was measured");
  std::sort(values.begin(), values.end());
  const auto at = [&](double q) {
    return values[static_cast<std::size_t>(q * static_cast<double>(values.size() - 1))];
  };
  return {at(0.5), at(0.99), at(0.999)};
}

struct Latencies {
  Percentiles hand_off_us;
  Percentiles append_ns;
};

/// One producer that spins until each item is due, and clocks each append.
template <class C>
Latencies latencies(std::uint64_t rate, std::uint64_t items) {
  using I = Item<8>;
  HandOff hand_off;
  hand_off.micros.reserve(items / usual_window + 1);
  std::vector<double> appends;
  appends.reserve(items);
  {
    typename C::template type<I, HandOff> contender(Setup{}, hand_off);
    std::jthread([&] {
      auto producer = contender.producer();
      const std::uint64_t start = now_ns();
      for (std::uint64_t i = 0; i < items; ++i) {
        const std::uint64_t due = start + i * 1'000'000'000 / rate;
        std::uint64_t before = now_ns();
        while (before < due) before = now_ns();
        producer.append(item_of<8>(before));
        appends.push_back(static_cast<double>(now_ns() - before));
      }
    }).join();
    contender.close();
  }
  return {percentiles(hand_off.micros), percentiles(appends)};
}

/// Processor time of the whole process per second, in milliseconds, while one producer wakes up
/// each millisecond and appends what is due. The pacing itself is in it, alike for all.
template <class C>
double processor_time(std::uint64_t rate, double seconds) {
  using I = Item<8>;
  Sum sum;
  typename C::template type<I, Sum> contender(Setup{}, sum);
  double before = 0;
  std::uint64_t due = 0;
  std::jthread([&] {
    auto producer = contender.producer();
    auto next = std::chrono::steady_clock::now();
    before = processor_ms();
    std::uint64_t sent = 0;
    const auto ticks = static_cast<std::uint64_t>(seconds * 1e3);
    for (std::uint64_t tick = 1; tick <= ticks; ++tick) {
      next += std::chrono::milliseconds(1);
      std::this_thread::sleep_until(next);
      for (due = tick * rate / 1000; sent < due; ++sent) producer.append(item_of<8>(sent));
    }
  }).join();
  contender.close();
  const double after = processor_ms();
  if (sum.items != due) throw std::logic_error(std::string(C::name()) + " lost items");
  return (after - before) / seconds;
}

}  // namespace contest
