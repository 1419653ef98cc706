#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <span>
#include <thread>
#include <utility>
#include <vector>

#include "contenders/all.hpp"
#include "results.hpp"
#include "work.hpp"

namespace contest {

/// Tells the producer how many items have arrived.
struct Arrived {
  std::atomic<std::uint64_t> items{0};

  template <class I>
  void operator()(std::span<const I> window) {
    items.fetch_add(window.size(), std::memory_order_release);
  }
};

/// Nanoseconds that an append takes its caller, amortised over a burst that fits into the
/// contender, beside a consumer that was at rest: the median of many bursts.
/// `append_all(producer, items)` appends them.
template <class C, class AppendAll>
double append_of_a_burst(AppendAll append_all) {
  using I = Item<8>;
  constexpr int warming = 8;  // memory that is touched for the first time is the system's price
  constexpr int bursts = 64;
  std::vector<I> items(capacity / 2);
  for (std::uint64_t i = 0; i < items.size(); ++i) items[i] = item_of<8>(i);
  std::vector<double> nanoseconds;
  Arrived arrived;
  typename C::template type<I, Arrived> contender(Setup{}, arrived);
  std::jthread([&] {
    auto producer = contender.producer();
    for (int burst = 1; burst <= warming + bursts; ++burst) {
      const std::uint64_t began = now_ns();
      append_all(producer, std::span<const I>(items));
      const std::uint64_t ended = now_ns();
      if (burst > warming)
        nanoseconds.push_back(static_cast<double>(ended - began) /
                              static_cast<double>(items.size()));
      const auto sent = static_cast<std::uint64_t>(burst) * items.size();
      // Some windows of the mutex contender are not full, and so the last items wait.
      while (arrived.items.load(std::memory_order_acquire) + usual_window <= sent)
        std::this_thread::sleep_for(std::chrono::microseconds(100));
    }
  }).join();
  contender.close();
  return spread(std::move(nanoseconds)).median;
}

}  // namespace contest
