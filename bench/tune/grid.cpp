#include "grid.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <thread>

namespace tune {
namespace {

constexpr std::size_t largest_window = 65'536;

/// Workers that would be busy all the time, if windows left when they are full or `age` old.
double busy_workers(const Workload& workload, std::size_t window, Duration age) {
  const double arrive = 1 + workload.rate * Seconds(age).count();
  const auto items = static_cast<std::size_t>(std::clamp(arrive, 1.0, static_cast<double>(window)));
  return workload.rate * Seconds(workload.callback(items)).count() / static_cast<double>(items);
}

/// Three digits: nobody wants to paste more.
Duration rounded(Duration age) {
  Duration::rep unit = 1'000;
  while (age.count() / unit >= 1000) unit *= 10;
  return Duration(std::max<Duration::rep>(1, (age.count() + unit / 2) / unit) * unit);
}
Duration share_of(Duration whole, double share) {
  return rounded(std::chrono::duration_cast<Duration>(whole * share));
}

template <class V>
void sort_and_unite(std::vector<V>& values) {
  std::sort(values.begin(), values.end());
  values.erase(std::unique(values.begin(), values.end()), values.end());
}

std::vector<std::size_t> windows_for(const Workload& workload) {
  // More than arrive within the target never come together.
  const double most = 2 * workload.rate * Seconds(workload.target).count();
  const std::size_t top = std::bit_ceil(
      static_cast<std::size_t>(std::clamp(most, 8.0, static_cast<double>(largest_window))));
  std::vector<std::size_t> windows;
  for (std::size_t size = top; size >= 1 && windows.size() < 9; size /= 2) windows.push_back(size);
  sort_and_unite(windows);
  return windows;
}

std::vector<Duration> ages_for(const Workload& workload) {
  std::vector<Duration> ages;
  for (const double share : {0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.95})
    ages.push_back(share_of(workload.target, share));
  sort_and_unite(ages);
  return ages;
}

std::vector<std::size_t> workers_for(const Workload& workload,
                                     std::span<const std::size_t> windows) {
  const double busy = busy_workers(workload, windows.back(), workload.target);
  const std::size_t processors = std::max(1U, std::thread::hardware_concurrency());
  const std::size_t most = workload.burns ? processors : most_workers;
  if (busy > static_cast<double>(most))
    throw BadOption(fmt::format(
        "at {:.0f} items/s, callbacks take {:.1f} workers' whole time even with the largest "
        "windows; {}",
        workload.rate, busy,
        workload.burns
            ? fmt::format("with --burn that is so many processors, and there are {}", processors)
            : fmt::format("at most {} are tried", most_workers)));
  const auto least = static_cast<double>(static_cast<std::size_t>(busy) + 1);
  std::vector<std::size_t> workers;
  for (const double factor : {1.0, 1.4, 2.0, 4.0})
    workers.push_back(std::min(most, static_cast<std::size_t>(std::ceil(least * factor))));
  sort_and_unite(workers);
  return workers;
}

/// Room for a window in each worker's hands and for one that fills.
std::size_t snug_capacity(std::size_t window, std::size_t workers) {
  return std::bit_ceil(std::max<std::size_t>(64, window * (workers + 1)));
}

}  // namespace

std::vector<Setting> make_grid(const Workload& workload, const Candidates& candidates) {
  const auto windows = candidates.windows.empty() ? windows_for(workload) : candidates.windows;
  const auto ages = candidates.ages.empty() ? ages_for(workload) : candidates.ages;
  const auto workers =
      candidates.workers.empty() ? workers_for(workload, windows) : candidates.workers;
  std::vector<Setting> grid;
  for (const std::size_t window : windows)
    for (const Duration age : ages)
      for (const std::size_t k : workers) {
        if (busy_workers(workload, window, age) > static_cast<double>(k)) continue;
        const std::size_t snug = snug_capacity(window, k);
        const auto capacities =
            candidates.capacities.empty() ? std::vector{snug, 8 * snug} : candidates.capacities;
        for (const std::size_t capacity : capacities)
          if (capacity >= window)
            grid.push_back({.window = window, .age = age, .workers = k, .capacity = capacity});
      }
  if (grid.empty())
    throw BadOption(
        fmt::format("at {:.0f} items/s, none of these settings can keep up; expected more "
                    "--workers, or larger --windows and --ages-ms",
                    workload.rate));
  return grid;
}

std::vector<Setting> refine(const Workload& workload, const Candidates& candidates,
                            const Setting& around, std::span<const Setting> known) {
  std::vector<Setting> near;
  const auto add = [&](Setting setting) {
    const bool can_work =
        setting.capacity >= setting.window && setting.workers >= 1 &&
        busy_workers(workload, setting.window, setting.age) <= static_cast<double>(setting.workers);
    const auto is_known = [&](const auto& list) {
      return std::find(list.begin(), list.end(), setting) != list.end();
    };
    if (can_work && !is_known(known) && !is_known(near)) near.push_back(setting);
  };
  const auto vary = [&](auto change) {
    Setting setting = around;
    change(setting);
    add(setting);
  };
  if (candidates.ages.empty())
    for (double share = 0.5; share < 1.6; share *= 1.04) {
      const Duration age = share_of(around.age, share);
      if (age >= workload.target) break;
      vary([&](Setting& s) { s.age = age; });
      if (candidates.windows.empty() && candidates.capacities.empty())
        vary([&](Setting& s) {
          s.age = age;
          s.window *= 2;
          s.capacity *= 2;
        });
    }
  if (candidates.windows.empty())
    for (const double factor : {0.35, 0.5, 0.6, 0.7, 0.84, 1.2, 1.4})
      vary([&](Setting& s) {
        s.window = std::max<std::size_t>(
            1, static_cast<std::size_t>(std::lround(static_cast<double>(s.window) * factor)));
      });
  if (candidates.workers.empty() && !workload.burns)
    for (const std::size_t k : {around.workers - 1, around.workers + 1, 3 * around.workers})
      vary([&](Setting& s) { s.workers = std::min(k, most_workers); });
  if (candidates.capacities.empty())
    for (const double factor : {0.125, 0.25, 0.5, 0.75, 2.0, 4.0})
      vary([&](Setting& s) {
        s.capacity =
            std::max(s.window, static_cast<std::size_t>(static_cast<double>(s.capacity) * factor));
      });
  return near;
}

}  // namespace tune
