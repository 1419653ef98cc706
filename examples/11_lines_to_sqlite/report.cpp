#include "report.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <condition_variable>
#include <cstdio>
#include <utility>

namespace lines {

using namespace std::chrono_literals;

std::string grouped(std::uint64_t number) {
  const std::string digits = fmt::format("{}", number);
  std::string text;
  for (std::size_t i = 0; i < digits.size(); ++i) {
    if (i > 0 && (digits.size() - i) % 3 == 0) text += ',';
    text += digits[i];
  }
  return text;
}

std::size_t Latencies::bucket_of(microbatch::Duration latency) {
  const double microseconds = std::max(1.0, static_cast<double>(latency.count()) / 1e3);
  return std::min(bucket_count - 1,
                  static_cast<std::size_t>(std::log(microseconds) / std::log(1.05)));
}

double Latencies::quantile(double share) const {
  const std::lock_guard lock(mutex_);
  std::uint64_t all = 0;
  for (const auto count : buckets_) all += count;
  const auto wanted = static_cast<std::uint64_t>(std::ceil(share * static_cast<double>(all)));
  std::uint64_t so_far = 0;
  std::size_t bucket = 0;
  while (bucket < bucket_count && (so_far += buckets_[bucket]) < wanted) ++bucket;
  return all == 0 ? 0 : std::pow(1.05, static_cast<double>(bucket + 1)) / 1e3;
}

Progress::Progress(std::function<microbatch::Stats()> stats, std::function<bool()> ending)
    : stats_(std::move(stats)), ending_(std::move(ending)) {
  if (isatty(STDERR_FILENO) == 1)
    artist_ = std::jthread([this](const std::stop_token& stop) { draw(stop); });
}

void Progress::draw(const std::stop_token& stop) {
  std::mutex mutex;
  std::condition_variable_any stopped;
  auto before = std::chrono::steady_clock::now();
  std::uint64_t done_before = 0;
  double rate = 0;
  for (std::unique_lock lock(mutex); !stop.stop_requested();) {
    stopped.wait_for(lock, stop, 200ms, [] { return false; });
    const auto now = std::chrono::steady_clock::now();
    const microbatch::Stats stats = stats_();
    const std::uint64_t done = stats.settled();
    const double latest = static_cast<double>(done - done_before) /
                          std::chrono::duration<double>(now - before).count();
    rate = done_before == 0 ? latest : 0.7 * rate + 0.3 * latest;
    before = now;
    done_before = done;
    fmt::print(stderr, "\r{}lines {}  {}/s  windows {}  pending {}  dead letters {}\x1b[K",
               ending_() ? "ending: " : "", grouped(done),
               grouped(static_cast<std::uint64_t>(rate)), grouped(stats.windows),
               grouped(stats.pending + stats.in_flight), grouped(stats.dead_lettered));
    (void)std::fflush(stderr);
  }
  fmt::print(stderr, "\r\x1b[K");
}

void Warnings::warn(const std::string& text) {
  const std::lock_guard lock(mutex_);
  if (text == last_) return;
  last_ = text;
  fmt::print(stderr, "{}warning: {}\n", isatty(STDERR_FILENO) == 1 ? "\r\x1b[K" : "", text);
}

std::string reasons(const microbatch::Stats& stats) {
  std::string text;
  for (std::size_t i = 0; i < microbatch::reason_count; ++i) {
    const auto reason = static_cast<microbatch::Reason>(i);
    if (stats.windows_with(reason) > 0)
      text += fmt::format("{}{} by {}", text.empty() ? "" : ", ",
                          grouped(stats.windows_with(reason)), to_string(reason));
  }
  return text;
}

void print_ledger(const microbatch::Stats& stats) {
  fmt::print("  ledger        offered {} = accepted {} + refused {}\n", grouped(stats.offered),
             grouped(stats.accepted), grouped(stats.refused()));
  fmt::print("                accepted {} = delivered {} + dead-lettered {}\n",
             grouped(stats.accepted), grouped(stats.delivered), grouped(stats.dead_lettered));
  fmt::print("                  + dropped {} + handed back {} + abandoned {}\n",
             grouped(stats.dropped()), grouped(stats.handed_back), grouped(stats.abandoned));
  fmt::print("                  + in flight {} + pending {}: {}\n", grouped(stats.in_flight),
             grouped(stats.pending), stats.balances() ? "balanced" : "NOT BALANCED");
}

}  // namespace lines
