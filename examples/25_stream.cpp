// Technique 1 of 8, the stream: many producers, one bounded queue, one place where the items go.
// Three threads read files of this machine line by line; none of them can run ahead of the consumer
// by more than the stream's capacity, and at the end the books balance.

#include <fmt/format.h>

#include <fstream>
#include <microbatch/microbatch.hpp>
#include <string>
#include <thread>
#include <vector>

int main() {
  using namespace microbatch;
  Stream<std::string> lines({.capacity = 64, .overflow = Overflow::block});

  std::size_t bytes = 0;
  auto consumer =
      streaming(lines, any_of(CountWindow{16}, MaxAgeWindow{std::chrono::milliseconds(10)}),
                [&](std::span<const std::string> window) {
                  for (const std::string& line : window) bytes += line.size() + 1;
                });
  {
    std::vector<std::jthread> readers;
    for (const char* path : {"/proc/meminfo", "/proc/self/status", __FILE__})
      readers.emplace_back([&lines, path] {
        auto producer = lines.producer();
        std::ifstream file(path);
        for (std::string line; std::getline(file, line);) producer.append(line);
      });
  }
  const auto end = consumer.close();

  const auto stats = lines.stats();
  fmt::print("{} lines, {} bytes, {} windows\n", end.delivered, bytes, stats.windows);
  return end.delivered > 0 && end.delivered == stats.offered && stats.balances() ? 0 : 1;
}
