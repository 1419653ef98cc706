#pragma once

#include <algorithm>
#include <barrier>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "contenders/all.hpp"
#include "work.hpp"

namespace contest {

/// Items per second from the first append to the last callback: the items 1..n are shared among
/// the producers, and the sum of what the callback saw is checked.
template <class C, std::size_t Bytes>
double throughput(const Setup& setup, std::size_t producers, std::uint64_t items) {
  using I = Item<Bytes>;
  Sum sum;
  typename C::template type<I, Sum> contender(setup, sum);
  // Not this thread's clock: it may be the last to run again, with the work half done.
  std::uint64_t began = 0;
  std::barrier start(static_cast<std::ptrdiff_t>(producers), [&]() noexcept { began = now_ns(); });
  std::vector<std::jthread> threads;
  for (std::uint64_t p = 0; p < producers; ++p)
    threads.emplace_back(
        [&, i = 1 + items * p / producers, end = 1 + items * (p + 1) / producers]() mutable {
          auto producer = contender.producer();
          start.arrive_and_wait();
          for (; i != end; ++i) producer.append(item_of<Bytes>(i));
        });
  threads.clear();
  contender.close();
  const std::uint64_t ended = now_ns();
  if (sum.items != items || sum.total != items * (items + 1) / 2)
    throw std::logic_error(std::string(C::name()) + " lost or invented items");
  return static_cast<double>(items) * 1e9 / static_cast<double>(ended - began);
}

/// So many items as take this contender about `seconds` in this cell.
template <class C, std::size_t Bytes>
std::uint64_t items_for(const Setup& setup, std::size_t producers, double seconds) {
  double rate = 0;  // the best of three: one that was disturbed makes each round too short
  for (int i = 0; i < 3; ++i)
    rate = std::max(rate, throughput<C, Bytes>(setup, producers, 100'000));
  const auto items = static_cast<std::uint64_t>(rate * seconds);
  return std::clamp<std::uint64_t>(items, 100'000, 100'000'000);
}

}  // namespace contest
