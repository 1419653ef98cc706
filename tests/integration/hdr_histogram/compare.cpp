// compare JAR ORACLE: our histogram and HdrHistogram (for Java) are fed the same numbers, of
// several distributions, and must agree within what both promise: ours tells a value at most 1/32
// too high, the other one is within 1/1000.

#include <fmt/format.h>
#include <microbatch/core/histogram.hpp>

#include <array>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace {

constexpr std::array quantiles{0.0, 0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 0.999, 0.9999, 1.0};

using Values = std::vector<std::uint64_t>;

struct Distribution {
  std::string_view name;
  Values values;
};

std::vector<Distribution> distributions(std::uint64_t seed) {
  std::mt19937_64 random(seed);
  constexpr std::size_t n = 50'000;
  const auto drawn = [&](auto draw) {
    Values values(n);
    for (auto& value : values) value = static_cast<std::uint64_t>(draw());
    return values;
  };
  std::lognormal_distribution<double> latency(std::log(250e3), 1.2);
  std::exponential_distribution<double> wait(1 / 40e6);
  std::uniform_int_distribution<std::uint64_t> size(0, 1024);
  std::uniform_int_distribution<unsigned> bits(0, 45);
  return {{"log-normal latencies", drawn([&] { return latency(random); })},
          {"exponential waits", drawn([&] { return wait(random); })},
          {"window sizes", drawn([&] { return size(random); })},
          {"all magnitudes", drawn([&] { return random() >> (63 - bits(random)); })},
          {"one value", Values(n, 1000)},
          {"two far apart", drawn([&] { return random() % 2 == 0 ? 3.0 : 7.2e12; })}};
}

/// The oracle's answer, one number per line.
std::vector<double> ask(const std::string& command) {
  std::vector<double> numbers;
  const std::unique_ptr<FILE, int (*)(FILE*)> pipe(popen(command.c_str(), "r"), &pclose);
  char line[128];
  while (pipe && std::fgets(line, sizeof line, pipe.get()) != nullptr)
    numbers.push_back(std::strtod(line, nullptr));
  return numbers;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  const std::span arguments(argv, 3);
  const char* chosen = std::getenv("MICROBATCH_SEED");
  const std::uint64_t seed =
      chosen != nullptr ? std::strtoull(chosen, nullptr, 10) : std::random_device{}();
  fmt::print("seed {}\n", seed);

  int failed = 0;
  for (const auto& [name, values] : distributions(seed)) {
    microbatch::Histogram ours;
    {
      std::ofstream file("hdr_histogram_values.txt");
      for (const std::uint64_t value : values) {
        ours.record(value);
        file << value << '\n';
      }
    }
    std::string command =
        fmt::format("java -cp '{}' '{}' hdr_histogram_values.txt", arguments[1], arguments[2]);
    for (const double q : quantiles) command += fmt::format(" {}", q);
    const std::vector<double> theirs = ask(command);
    if (theirs.size() != 3 + quantiles.size()) {
      fmt::print("the oracle did not answer: {}\n", command);
      return 1;
    }
    const auto check = [&](std::string_view what, double mine, double other, double least,
                           double most) {
      const bool good = mine >= least && mine <= most;
      if (!good)
        fmt::print("{}, {}: {}, HdrHistogram {}; expected {} to {}\n", name, what, mine, other,
                   least, most);
      failed += good ? 0 : 1;
    };
    constexpr double theirs_off = 1.0 / 1000;
    check("count", static_cast<double>(ours.count()), theirs[0], theirs[0], theirs[0]);
    check("maximum", static_cast<double>(ours.max()), theirs[1], theirs[1] * (1 - theirs_off),
          theirs[1]);
    check("mean", ours.mean(), theirs[2], theirs[2] * (1 - theirs_off),
          theirs[2] * (1 + theirs_off));
    for (std::size_t i = 0; i < quantiles.size(); ++i)
      check(fmt::format("quantile {}", quantiles[i]),
            static_cast<double>(ours.quantile(quantiles[i])), theirs[3 + i],
            theirs[3 + i] * (1 - theirs_off), theirs[3 + i] * (1 + 1.0 / 32) + 1);
    fmt::print("{}: p50 {} ours, {} theirs; p99.9 {} ours, {} theirs\n", name, ours.quantile(0.5),
               theirs[7], ours.quantile(0.999), theirs[11]);
  }
  return failed == 0 ? 0 : 1;
}
