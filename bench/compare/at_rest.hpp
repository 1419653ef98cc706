#pragma once

#include <malloc.h>
#include <sys/resource.h>

#include <barrier>
#include <chrono>
#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

#include "contenders/all.hpp"
#include "work.hpp"

namespace contest {

struct Idle {
  double switches_per_second = 0;
  double processor_ms_per_second = 0;
};

/// Context switches and processor time while a consumer has nothing to do.
template <class C>
Idle idle(double seconds) {
  const auto switches = [] {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    return static_cast<double>(usage.ru_nvcsw + usage.ru_nivcsw);
  };
  Sum sum;
  typename C::template type<Item<8>, Sum> contender(Setup{}, sum);
  {
    auto producer = contender.producer();
    for (std::uint64_t i = 0; i < usual_window; ++i) producer.append(item_of<8>(i));
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(200));  // it has come to rest
  const double switches_before = switches();
  const double used_before = processor_ms();
  std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
  const double own = 1;  // that sleep
  const Idle result{(switches() - switches_before - own) / seconds,
                    (processor_ms() - used_before) / seconds};
  contender.close();
  return result;
}

/// Bytes of the heap in use after each of so many threads has appended once, beyond what was in use
/// before, without the threads' own.
template <class C>
double memory(std::size_t producers) {
  const auto in_use = [] {
    const auto info = mallinfo2();
    return static_cast<double>(info.uordblks + info.hblkhd);
  };
  const auto of_threads = [&](auto append) {
    std::barrier appended(static_cast<std::ptrdiff_t>(producers + 1));
    std::barrier measured(static_cast<std::ptrdiff_t>(producers + 1));
    std::vector<std::jthread> threads;
    threads.reserve(producers);
    for (std::size_t i = 0; i < producers; ++i)
      threads.emplace_back(
          [&] { append([&] { appended.arrive_and_wait(), measured.arrive_and_wait(); }); });
    appended.arrive_and_wait();
    const double bytes = in_use();
    measured.arrive_and_wait();
    return bytes;
  };
  const double empty = of_threads([](auto wait) { wait(); });
  Sum sum;
  typename C::template type<Item<8>, Sum> contender(Setup{}, sum);
  const double full = of_threads([&](auto wait) {
    auto producer = contender.producer();
    producer.append(item_of<8>(1));
    wait();
  });
  contender.close();
  return full - empty;
}

}  // namespace contest
