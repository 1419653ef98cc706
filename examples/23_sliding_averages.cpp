// The available memory of this machine, averaged over a sliding window: every ten seconds, by the
// readings' own time, the average of the last five minutes. The readings are real, from /proc; so
// that the example is done at once, each stands for a second.

#include <fmt/format.h>

#include <fstream>
#include <microbatch/microbatch.hpp>
#include <string>
#include <vector>

namespace {

struct Reading {
  std::chrono::seconds time;
  double megabytes;  // available memory
};

double available_megabytes() {
  std::ifstream file("/proc/meminfo");
  std::string name;
  double kilobytes = 0;
  for (std::string unit; file >> name >> kilobytes && std::getline(file, unit);)
    if (name == "MemAvailable:") return kilobytes / 1024;
  return 1.0;  // where there is no /proc
}

}  // namespace

int main() {
  using namespace microbatch;
  using namespace std::chrono_literals;
  std::vector<Reading> readings;
  for (int i = 0; i < 1800; ++i)
    readings.push_back({std::chrono::seconds(i), available_megabytes()});

  // An average is a sum and a count, which panes can add up.
  struct Sum {
    double total = 0;
    std::size_t count = 0;
  };
  const auto average =
      aggregate([] { return Sum{}; },
                [](Sum& all, const Reading& reading) {
                  all.total += reading.megabytes;
                  ++all.count;
                },
                [](Sum& all, Sum&& other) {
                  all.total += other.total;
                  all.count += other.count;
                },
                [](Sum&& all) { return all.total / static_cast<double>(all.count); });

  std::size_t windows = 0;
  double least = 1e18;
  double most = 0;
  auto flow = from(readings) | window(HoppingWindow{5min, 10s, &Reading::time}) | average |
              to([&](const auto& result) {
                ++windows;
                least = std::min(least, result.value);
                most = std::max(most, result.value);
              });
  flow.run();
  fmt::print("{} averages over 5 min, every 10 s: {:.2f} to {:.2f} MB available\n", windows, least,
             most);
  // 1800 s of readings lie in the windows that begin from -290 s to 1790 s.
  return windows == 209 && least > 0 && least <= most ? 0 : 1;
}
