// Many streams in one file, and a long backlog in one of them.
//
// Forbidden: a stream or an item that is gone; a first window that comes later after opening than
// it would without a backlog, within a bound that a busy machine keeps; memory that grows with the
// backlog instead of with the capacity.
//
//   stress_durable_many_long             10 000 streams, 1 000 000 items

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <future>
#include <memory>
#include <microbatch/emitters/count_window.hpp>
#include <microbatch/sqlite/durable_stream.hpp>
#include <string>
#include <vector>

namespace {

using namespace std::chrono_literals;
using microbatch::sqlite::Database;
using microbatch::sqlite::Storage;
using Lines = microbatch::sqlite::DurableStream<std::string>;
using Clock = std::chrono::steady_clock;

constexpr std::size_t streams = 10'000;
constexpr std::size_t backlog = 1'000'000;
constexpr std::size_t capacity = 10'000;

int wrong = 0;
void require(bool good, const std::string& what) {
  if (good) return;
  ++wrong;
  fmt::print("  FORBIDDEN: {}\n", what);
}

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

/// Resident, in MiB.
double memory() {
  std::ifstream statm("/proc/self/statm");
  double pages = 0;
  statm >> pages >> pages;
  return pages * 4096 / (1 << 20);
}

std::string line(std::size_t i) { return fmt::format("{:0100}", i); }

void many_streams(const std::string& path) {
  const auto begin = Clock::now();
  {
    auto database = std::make_shared<Database>(path);
    for (std::size_t i = 0; i < streams; ++i) {
      Storage store(database, fmt::format("stream {}", i), {.codec = "text"});
      std::string body{"\1\0\0\0x", 5};
      const microbatch::NewBatch batch{.items = 1, .body = body};
      (void)store.append({&batch, 1}, microbatch::Safety::written);
    }
  }
  const double made = seconds_since(begin);
  const auto again = Clock::now();
  Database database(path);
  const auto listed = database.streams();
  const auto pending = static_cast<std::size_t>(std::count_if(
      listed.begin(), listed.end(), [](const auto& s) { return s.counts.pending == 1; }));
  require(listed.size() == streams && pending == streams,
          fmt::format("{} streams listed, {} of them with their item", listed.size(), pending));
  fmt::print("durable_many: {} streams made in {:.1f} s, listed in {:.1f} s\n", streams, made,
             seconds_since(again));
}

void long_backlog(const std::string& path) {
  {
    Lines lines(path, "long", {.append = {.group_items = 1000}});
    for (std::size_t i = 0; i < backlog; ++i) lines.append(line(i));
  }
  const double before = memory();
  const auto begin = Clock::now();
  Lines lines(path, "long");
  std::promise<double> first;
  std::size_t seen = 0;
  double most = 0;
  auto consumer =
      microbatch::streaming(lines, microbatch::CountWindow{1000},
                            [&](microbatch::sqlite::Window<std::string>& window) {
                              if (seen == 0) first.set_value(seconds_since(begin));
                              for (const auto& text : window)
                                require(text == line(seen++), "an item is not in its place");
                              most = std::max(most, memory());
                            },
                            {}, {.capacity = capacity});
  const double opened = first.get_future().get();
  consumer.flush();
  (void)consumer.close();
  require(seen == backlog, fmt::format("{} of {} items seen", seen, backlog));
  require(opened < 1.0, fmt::format("the first window came after {:.3f} s", opened));
  require(most - before < 128, fmt::format("{:.0f} MiB more than before opening", most - before));
  fmt::print(
      "durable_many: {} pending: first window after {:.1f} ms, all after {:.1f} s, {:.0f} MiB\n",
      backlog, opened * 1e3, seconds_since(begin), most - before);
}

}  // namespace

int main() {
  char name[] = "/tmp/microbatch-many-XXXXXX";
  if (mkdtemp(name) == nullptr) return 2;
  many_streams(std::string(name) + "/streams.db");
  long_backlog(std::string(name) + "/long.db");
  std::filesystem::remove_all(name);
  return wrong == 0 ? 0 : 1;
}
