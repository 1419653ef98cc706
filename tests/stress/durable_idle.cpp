// A consumer with nothing to do sleeps, and notices an item of another process at once.
//
// Forbidden: more than one wake-up a second while it is idle; more than 20 ms, in the median, from
// another process' receipt to the callback's start.

#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <microbatch/emitters/count_window.hpp>
#include <microbatch/sqlite/durable_stream.hpp>
#include <string>
#include <thread>
#include <vector>

namespace {

using namespace std::chrono_literals;
using Stream = microbatch::sqlite::DurableStream<std::int64_t>;
constexpr int rounds = 50;

#ifdef MICROBATCH_THREAD_SANITIZER
constexpr long others = 5 * 11;  // the sanitizer's own thread looks up ten times a second
#else
constexpr long others = 0;
#endif

std::int64_t now() { return std::chrono::steady_clock::now().time_since_epoch().count(); }

/// Each item is the time at which its append began.
int produce(const std::string& file) {
  Stream stream(file, "items");
  for (int i = 0; i < rounds; ++i) {
    std::this_thread::sleep_for(20ms);  // so that the consumer sleeps, too
    stream.append(now(), microbatch::written).get();
  }
  return 0;
}

long wake_ups() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_nvcsw;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 1) return produce(argv[1]);
  char name[] = "/tmp/microbatch-idle-XXXXXX";
  if (mkdtemp(name) == nullptr) return 2;
  const std::string file = std::string(name) + "/idle.db";
  int wrong = 0;
  {
    Stream stream(file, "items");
    std::vector<std::int64_t> took;
    std::atomic<int> seen{0};
    auto consumer = microbatch::streaming(stream, microbatch::CountWindow{1},
                                          [&](std::span<const std::int64_t> items) {
                                            for (const auto item : items)
                                              took.push_back(now() - item);
                                            seen += static_cast<int>(items.size());
                                            seen.notify_one();
                                          });
    consumer.flush();

    std::this_thread::sleep_for(200ms);
    const long before = wake_ups();
    std::this_thread::sleep_for(5s);
    const long idle = wake_ups() - before - 1;  // the sleep itself
    fmt::print("durable_idle: {} wake-ups in 5 s\n", idle);
    if (idle >= 5 + others) ++wrong;

    const pid_t child = fork();
    if (child == 0) {
      execl("/proc/self/exe", "durable_idle", file.c_str(), nullptr);
      _exit(127);
    }
    for (int n = seen; n < rounds; n = seen) seen.wait(n);
    waitpid(child, nullptr, 0);
    (void)consumer.close();
    std::sort(took.begin(), took.end());
    fmt::print(
        "durable_idle: an item of another process is noticed after {} us (median), {} us (worst)\n",
        took[took.size() / 2] / 1000, took.back() / 1000);
    if (took[took.size() / 2] > 20'000'000) ++wrong;
  }
  std::filesystem::remove_all(name);
  return wrong;
}
