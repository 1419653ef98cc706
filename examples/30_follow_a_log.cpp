// Follows a log file as `tail -F` does, writes what it finds in batches, each of them one complete
// file, and keeps its position: the log is rotated while nobody reads, and nothing is lost or seen
// twice.

#include <fmt/format.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <microbatch/io/file_sinks.hpp>
#include <microbatch/io/file_source.hpp>
#include <microbatch/microbatch.hpp>
#include <string>
#include <vector>

namespace {

using namespace std::chrono_literals;

const std::filesystem::path folder = "follow_a_log";

void log(int from, int to) {
  std::ofstream file(folder / "app.log", std::ios::app);
  for (int i = from; i < to; ++i) file << "request " << i << " took " << i % 7 << " ms\n";
}

/// Until `lines` lines have been delivered.
std::uint64_t follow(std::uint64_t lines) {
  microbatch::FileSource source({.file = folder / "app.log",
                                 .follow = true,
                                 .position = folder / "position",
                                 .poll_interval = 10ms,
                                 .rotation_grace = 50ms});
  std::uint64_t seen = 0;
  std::stop_source stop;
  microbatch::RunOptions<std::string, std::string> options;
  options.stop = stop.get_token();
  const auto slow_ones = [&](microbatch::Window<std::string>& window) {
    std::vector<std::string> slow;
    for (const auto& line : window)
      if (line.ends_with(" 6 ms")) slow.push_back(line);
    seen += window.size();
    if (seen >= lines) stop.request_stop();
    return slow;
  };
  const auto result = microbatch::run(
      source, microbatch::any_of(microbatch::CountWindow{100}, microbatch::MaxAgeWindow{20ms}),
      slow_ones, microbatch::FolderSink({.folder = folder / "slow", .prefix = "batch-"}),
      std::move(options));
  return result.closed.delivered;
}

}  // namespace

int main() {
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder / "slow");

  log(0, 250);
  const auto first = follow(250);

  log(250, 300);  // meanwhile: more lines, a rotation, more lines
  std::filesystem::rename(folder / "app.log", folder / "app.log.1");
  log(300, 400);
  const auto second = follow(150);

  int slow = 0;
  for (const auto& batch : std::filesystem::directory_iterator(folder / "slow")) {
    std::ifstream file(batch.path());
    for (std::string line; std::getline(file, line);) ++slow;
  }
  fmt::print("{} lines, then {} more; {} of them slow\n", first, second, slow);
  return first == 250 && second == 150 && slow == 57 ? 0 : 1;
}
