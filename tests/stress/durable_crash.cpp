// An item that crashes whatever process handles it, among good ones. The process is started again
// and again, as a supervisor would.
//
// Allowed: so many crashes as the attempts of two rounds, one in company and one alone.
// Forbidden: a crash beyond that; a good item that is lost, or a dead letter; the bad one anywhere
// but in the dead letters.

#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <microbatch/emitters/count_window.hpp>
#include <microbatch/sqlite/durable_stream.hpp>
#include <string>

namespace {

using namespace std::chrono_literals;
using Lines = microbatch::sqlite::DurableStream<std::string>;

constexpr std::uint32_t max_attempts = 3;
constexpr int items = 100;

int consume(const std::string& path) {
  const rlimit none{0, 0};
  setrlimit(RLIMIT_CORE, &none);
  Lines lines(path, "lines");
  auto consumer =
      microbatch::streaming(lines, microbatch::CountWindow{7},
                            [](microbatch::sqlite::Window<std::string>& window) {
                              for (const auto& line : window)
                                if (line == "bad") raise(SIGKILL);
                            },
                            {.on_failure = {.max_attempts = max_attempts}}, {.lease = 100ms});
  consumer.flush();
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 1) return consume(argv[1]);
  char name[] = "/tmp/microbatch-crash-XXXXXX";
  if (mkdtemp(name) == nullptr) return 2;
  const std::string path = std::string(name) + "/a.db";
  {
    Lines lines(path, "lines", {.append = {.group_items = 20}});
    for (int i = 0; i < items; ++i) lines.append(i == 50 ? "bad" : std::to_string(i));
  }
  unsigned crashes = 0;
  for (bool well = false; !well;) {
    const pid_t child = fork();
    if (child == 0) {
      execl("/proc/self/exe", "durable_crash", path.c_str(), nullptr);
      _exit(127);
    }
    int status = 0;
    waitpid(child, &status, 0);
    well = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    if (!well && ++crashes > 2 * max_attempts) {
      fmt::print("  FORBIDDEN: {} crashes\n", crashes);
      return 1;
    }
  }
  Lines lines(path, "lines");
  const auto counts = lines.stored();
  const auto letters = lines.storage().dead_letters(0, 10);
  fmt::print("durable_crash: {} crashes, {} delivered, {} dead letters\n", crashes,
             counts.delivered, letters.size());
  const bool good = crashes == 2 * max_attempts && counts.pending == 0 &&
                    counts.delivered == items - 1 && letters.size() == 1 &&
                    letters[0].item == "bad" && letters[0].attempts == 2 * max_attempts;
  if (!good) fmt::print("  FORBIDDEN\n");
  std::filesystem::remove_all(name);
  return good ? 0 : 1;
}
