#include "source.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <fstream>
#include <span>
#include <string_view>

namespace tune {
namespace {

Trace read_trace(const std::string& path) {
  std::ifstream file(path);
  if (!file) throw BadOption(fmt::format("--trace {}: cannot be read", path));
  Trace trace;
  double first = 0;
  std::size_t number = 0;
  for (std::string line; std::getline(file, line);) {
    ++number;
    std::string_view text = line;
    text = text.substr(0, text.find('#'));
    const std::size_t begin = text.find_first_not_of(" \t\r");
    if (begin == std::string_view::npos) continue;
    text = text.substr(begin, text.find_last_not_of(" \t\r") - begin + 1);
    double seconds = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
    if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(seconds))
      throw BadOption(
          fmt::format("{}:{}: expected a time in seconds, not `{}`", path, number, text));
    if (trace.empty()) first = seconds;
    if (std::abs(seconds - first) > 1e9)
      throw BadOption(fmt::format("{}:{}: {} s is 30 years from the first", path, number, seconds));
    const auto at = std::chrono::duration_cast<Duration>(Seconds(seconds - first));
    if (!trace.empty() && at < trace.back())
      throw BadOption(fmt::format("{}:{}: {} s is before the line above", path, number, seconds));
    trace.push_back(at);
  }
  if (file.bad()) throw BadOption(fmt::format("--trace {}: cannot be read to its end", path));
  constexpr std::size_t least = 300;
  if (trace.size() < least)
    throw BadOption(fmt::format("--trace {}: expected at least {} arrivals, found {}", path, least,
                                trace.size()));
  if (trace.back() == trace.front())
    throw BadOption(fmt::format("--trace {}: all arrivals are at the same time", path));
  return trace;
}

std::span<const Duration> first_part(const Trace& trace) {
  return std::span(trace).first(trace.size() / 3 * 2);
}

std::string_view name_of(Arrivals arrivals) {
  switch (arrivals) {
    case Arrivals::poisson:
      return "poisson";
    case Arrivals::even:
      return "even";
    case Arrivals::bursts:
      break;
  }
  return "bursts";
}

}  // namespace

Source::Source(const Options& options) : options_(options), rate_(options.workload.rate) {
  if (options.workload.trace.empty()) return;
  recorded_ = read_trace(options.workload.trace);
  // What has to be kept up with: the busiest time that several windows see.
  rate_ = rate_of(busiest(first_part(recorded_), 10 * options.workload.target));
  if (rate_ == 0) rate_ = rate_of(first_part(recorded_));
}

Stretch Source::generated(std::uint64_t seed, std::size_t items, Duration live) const {
  const double rate = options_.workload.rate;
  const auto lived =
      std::max<std::size_t>(10, static_cast<std::size_t>(rate * Seconds(live).count()));
  const Trace all = make_trace(options_.workload, std::max(items, lived), seed);
  const auto begin = [&](std::size_t n) { return from_zero(std::span(all).first(n)); };
  return {.replay = begin(items), .live = begin(lived)};
}

Stretch Source::known(std::size_t items, Duration live) const {
  if (recorded_.empty()) return generated(options_.seed, items, live);
  const auto part = first_part(recorded_);
  return {.replay = busiest(part, items), .live = busiest(part, live)};
}

Stretch Source::unseen(std::size_t items, Duration live) const {
  if (recorded_.empty()) return generated(options_.seed + 1, items, live);
  const auto part = std::span<const Duration>(recorded_).subspan(recorded_.size() / 3 * 2);
  return {.replay = busiest(part, items), .live = busiest(part, live)};
}

std::string Source::name_of_known() const {
  if (!recorded_.empty()) return fmt::format("{}, first two thirds", options_.workload.trace);
  return fmt::format("{}, seed {}", name_of(options_.workload.arrivals), options_.seed);
}

std::string Source::name_of_unseen() const {
  if (!recorded_.empty()) return fmt::format("{}, last third", options_.workload.trace);
  return fmt::format("{}, seed {}", name_of(options_.workload.arrivals), options_.seed + 1);
}

}  // namespace tune
