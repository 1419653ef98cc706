#include "live.hpp"

#include <time.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <microbatch/microbatch.hpp>
#include <stdexcept>
#include <thread>
#include <utility>

namespace tune {
namespace {

using Steady = std::chrono::steady_clock;

template <std::size_t Bytes>
struct Item {
  TimePoint arrived;
  std::array<std::byte, Bytes - sizeof(TimePoint)> rest;
};
template <>
struct Item<sizeof(TimePoint)> {
  TimePoint arrived;
};

Duration cpu_time(clockid_t clock) {
  timespec time{};
  if (clock_gettime(clock, &time) != 0) throw std::runtime_error("this system tells no CPU time");
  return std::chrono::seconds(time.tv_sec) + Duration(time.tv_nsec);
}

/// Linux lets sleeps of ordinary threads end 50 us late, to save power.
void sleep_precisely() {
#ifdef __linux__
  (void)prctl(PR_SET_TIMERSLACK, 1);
#endif
}

/// What the workload's callback does, begun at `begin`.
void work(const Workload& workload, std::size_t items, TimePoint begin) {
  const Duration cost = workload.callback(items);
  if (!workload.burns) {
    if (cost > Duration::zero()) std::this_thread::sleep_until(begin + cost);
    return;
  }
  for (const Duration from = cpu_time(CLOCK_THREAD_CPUTIME_ID);
       cpu_time(CLOCK_THREAD_CPUTIME_ID) - from < cost;) {
  }
}

/// What the callbacks saw, in memory that was there before.
class Record {
 public:
  explicit Record(std::size_t items) : arrivals_(items), windows_(items) {}

  struct Window {
    TimePoint begin;
    TimePoint end;
    TimePoint oldest;
    TimePoint newest;
    std::size_t first = 0;  // in arrivals_
    std::size_t items = 0;
    bool by_count = false;
  };

  /// Any worker; the end is to be filled in.
  template <class T>
  Window& add(const microbatch::Window<T>& window, TimePoint begin) {
    const std::size_t first = items_.fetch_add(window.size(), std::memory_order_relaxed);
    Window& entry = windows_[count_.fetch_add(1, std::memory_order_relaxed)];
    entry = {.begin = begin,
             .end = begin,
             .oldest = microbatch::never,
             .newest = {},
             .first = first,
             .items = window.size(),
             .by_count = window.reason() == microbatch::Reason::count};
    for (std::size_t i = 0; i < window.size(); ++i) {
      const TimePoint arrived = window[i].arrived;
      arrivals_[first + i] = arrived;
      entry.oldest = std::min(entry.oldest, arrived);
      entry.newest = std::max(entry.newest, arrived);
    }
    return entry;
  }

  // When all is done.

  LiveRun evaluate(const Workload& workload, const Setting& setting, TimePoint start) {
    windows_.resize(count_.load());
    std::sort(windows_.begin(), windows_.end(),
              [](const Window& a, const Window& b) { return a.begin < b.begin; });
    LiveRun live;
    live.run.latencies.reserve(arrivals_.size());
    for (std::size_t w = 0; w < windows_.size(); ++w) {
      const Window& window = windows_[w];
      for (std::size_t i = window.first; i < window.first + window.items; ++i)
        live.run.latencies.push_back(window.end - arrivals_[i]);
      live.run.calls.push_back({.begin = window.begin - start,
                                .end = window.end - start,
                                .items = window.items,
                                .by_count = window.by_count});
      live.overruns.push_back(
          std::max(Duration{}, window.end - window.begin - workload.callback(window.items)));
      const TimePoint ready = window.by_count ? window.newest : window.oldest + setting.age;
      if (ready <= window.begin && running_at(ready, w) < setting.workers)
        live.wake_ups.push_back(window.begin - ready);
    }
    return live;
  }

 private:
  /// Of the windows that began before the w-th, those whose callbacks ran at that time. One that
  /// ended just before does not count as free: its worker was on its way to this window.
  [[nodiscard]] std::size_t running_at(TimePoint time, std::size_t w) const {
    constexpr std::size_t far = 1000;  // no pool runs so many callbacks at a time
    std::size_t running = 0;
    for (std::size_t i = w - std::min(w, far); i < w; ++i)
      running += windows_[i].begin <= time && windows_[i].end >= time ? 1 : 0;
    return running;
  }

  std::vector<TimePoint> arrivals_;
  std::vector<Window> windows_;
  std::atomic<std::size_t> items_{0};
  std::atomic<std::size_t> count_{0};
};

template <std::size_t Bytes>
LiveRun run_with_items_of(const Workload& workload, const Setting& setting, const Trace& trace) {
  Record record(trace.size());
  const Duration cpu_before = cpu_time(CLOCK_PROCESS_CPUTIME_ID);
  std::atomic<Duration::rep> producers_cpu{0};

  microbatch::ThreadPool pool(
      {.workers = setting.workers, .on_thread_start = [](std::size_t) { sleep_precisely(); }});
  microbatch::Stream<Item<Bytes>> stream({.capacity = setting.capacity});
  auto consumer =
      microbatch::streaming(stream,
                            microbatch::any_of(microbatch::CountWindow{setting.window},
                                               microbatch::MaxAgeWindow{setting.age}),
                            [&](microbatch::Window<Item<Bytes>>& window) {
                              const TimePoint begin = Steady::now();
                              auto& entry = record.add(window, begin);
                              work(workload, window.size(), begin);
                              entry.end = Steady::now();
                            },
                            {.executor = pool,
                             .order = setting.workers > 1 ? microbatch::Order::unordered
                                                          : microbatch::Order::sequential});

  const TimePoint start = Steady::now() + std::chrono::milliseconds(10);
  const auto produce = [&](std::size_t number) {
    sleep_precisely();
    auto producer = stream.producer();
    TimePoint now = Steady::now();
    TimePoint woke{};
    for (std::size_t i = number; i < trace.size(); i += workload.producers) {
      const TimePoint due = start + trace[i];
      if (due > now) now = Steady::now();
      if (due > now) {
        std::this_thread::sleep_until(due);
        woke = now = Steady::now();
      }
      Item<Bytes> item{};
      item.arrived = std::max(due, woke);
      producer.append(std::move(item));
    }
    producers_cpu.fetch_add(cpu_time(CLOCK_THREAD_CPUTIME_ID).count());
  };
  {
    std::vector<std::jthread> producers;
    for (std::size_t i = 0; i < workload.producers; ++i) producers.emplace_back(produce, i);
  }
  std::this_thread::sleep_for(setting.age);  // the last windows fill as those before them did
  const auto end = consumer.close();
  if (end.delivered != trace.size())
    throw std::logic_error("a live run has lost items: that is a bug in microbatch");

  LiveRun live = record.evaluate(workload, setting, start);
  live.run.last_arrival = trace.back();
  live.run.cpu = cpu_time(CLOCK_PROCESS_CPUTIME_ID) - cpu_before - Duration(producers_cpu.load());
  return live;
}

}  // namespace

LiveRun run_live(const Workload& workload, const Setting& setting, const Trace& trace) {
  if (workload.item_bytes <= 8) return run_with_items_of<8>(workload, setting, trace);
  if (workload.item_bytes <= 64) return run_with_items_of<64>(workload, setting, trace);
  if (workload.item_bytes <= 256) return run_with_items_of<256>(workload, setting, trace);
  return run_with_items_of<1024>(workload, setting, trace);
}

}  // namespace tune
