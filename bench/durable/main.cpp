// How fast are appends that survive a power cut, alone and all the way to a committed window,
// beside what one would use instead? One machine, one run, items of 100 bytes. The rounds are
// interleaved: each runs every contender once, so that a disk that drifts hits all alike.
//
//   bench_durable [FOLDER] [ITEMS]      on the file system of FOLDER (default: here)

#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <memory>
#include <microbatch/emitters/count_window.hpp>
#include <microbatch/sqlite/durable_stream.hpp>
#include <string>
#include <thread>
#include <vector>

#include "contender.hpp"

namespace {

using microbatch::synced;
using Items = microbatch::sqlite::DurableStream<std::string>;

template <class Produce>
void on_four_threads(std::size_t n, Produce produce) {
  std::vector<std::jthread> threads;
  for (std::size_t p = 0; p < 4; ++p)
    threads.emplace_back([=] { produce(n * p / 4, n * (p + 1) / 4); });
}

/// A receipt for each item; a thread waits for the last of each thousand.
void append_items(Items& stream, std::size_t begin, std::size_t end) {
  auto producer = stream.producer();
  for (std::size_t i = begin; i < end; i += bench::group) {
    const std::size_t until = std::min(end, i + bench::group);
    for (std::size_t k = i; k + 1 < until; ++k) (void)producer.append(bench::item(k), synced);
    producer.append(bench::item(until - 1), synced).get();
  }
}
/// A receipt for each thousand.
void append_ranges(Items& stream, std::size_t begin, std::size_t end) {
  auto producer = stream.producer();
  std::vector<std::string> items;
  for (std::size_t i = begin; i < end; i += bench::group) {
    items.clear();
    for (std::size_t k = i; k < std::min(end, i + bench::group); ++k)
      items.push_back(bench::item(k));
    producer.append_range(items, synced).get();
  }
}

double synced_appends(const std::string& folder, std::size_t n, bool ranges) {
  Items stream(bench::fresh(folder, "ours.db"), "items");
  const bench::Stopwatch watch;
  on_four_threads(n, [&](std::size_t begin, std::size_t end) {
    ranges ? append_ranges(stream, begin, end) : append_items(stream, begin, end);
  });
  return watch.seconds();
}

double end_to_end(const std::string& folder, std::size_t n) {
  Items stream(bench::fresh(folder, "ours.db"), "items");
  std::atomic<std::size_t> delivered{0};
  const bench::Stopwatch watch;
  auto consumer =
      microbatch::streaming(stream, microbatch::CountWindow{4096},
                            [&](std::span<const std::string> items) { delivered += items.size(); });
  on_four_threads(n,
                  [&](std::size_t begin, std::size_t end) { append_ranges(stream, begin, end); });
  consumer.flush();
  const double seconds = watch.seconds();
  consumer.close();
  if (delivered != n) fmt::print("LOST OR REPEATED: {} of {}\n", delivered.load(), n);
  return seconds;
}

/// Microseconds per item.
double waits_for_each(const std::string& folder, std::size_t n) {
  Items stream(bench::fresh(folder, "ours.db"), "items");
  const bench::Stopwatch watch;
  for (std::size_t i = 0; i < n; ++i) stream.append(bench::item(i), synced).get();
  return watch.seconds() / static_cast<double>(n) * 1e6;
}

/// The same, while one callback of 50 ms with a transaction follows the other.
double waits_beside_a_slow_callback(const std::string& folder, std::size_t n) {
  auto file = std::make_shared<microbatch::sqlite::Database>(bench::fresh(folder, "ours.db"));
  file->execute("CREATE TABLE results(item TEXT)");
  Items stream(file, "items");
  auto consumer = microbatch::streaming(
      stream, microbatch::CountWindow{1}, [](microbatch::sqlite::Window<std::string>& window) {
        window.transaction().execute("INSERT INTO results VALUES (?)", window[0]);
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
      });
  const bench::Stopwatch watch;
  for (std::size_t i = 0; i < n; ++i) stream.append(bench::item(i), synced).get();
  const double seconds = watch.seconds();
  (void)consumer.stop();
  return seconds / static_cast<double>(n) * 1e6;
}

double first_window_after_reopening(const std::string& folder, std::size_t n) {
  const std::string path = bench::fresh(folder, "ours.db");
  {
    Items stream(path, "items");
    append_ranges(stream, 0, n);
  }
  const bench::Stopwatch watch;
  Items stream(path, "items");
  std::atomic<bool> seen{false};
  auto consumer = microbatch::streaming(stream, microbatch::CountWindow{1000},
                                        [&](std::span<const std::string>) {
                                          seen = true;
                                          seen.notify_one();
                                        });
  seen.wait(false);
  const double seconds = watch.seconds();
  (void)consumer.stop();
  return seconds * 1e3;
}

constexpr int rounds = 5;

struct Contender {
  const char* name;
  std::function<double()> run;  ///< what is measured; 0: not installed
  std::vector<double> results{};
  std::vector<double> processor{};  ///< seconds of processor time
};

double processor_time() {
  rusage used{};
  getrusage(RUSAGE_SELF, &used);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) * 1e-6;
  };
  return seconds(used.ru_utime) + seconds(used.ru_stime);
}

void race(std::vector<Contender>& contenders) {
  for (int round = 0; round < rounds; ++round) {
    for (Contender& contender : contenders) {
      const double before = processor_time();
      contender.results.push_back(contender.run());
      contender.processor.push_back(processor_time() - before);
    }
  }
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

/// Round by round.
double ratio(const std::vector<double>& a, const std::vector<double>& b) {
  std::vector<double> ratios;
  for (std::size_t i = 0; i < a.size(); ++i) ratios.push_back(a[i] / b[i]);
  return median(ratios);
}

void throughput(const std::string& folder, std::size_t n) {
  std::vector<Contender> all{
      {"bare file, write + fdatasync", [&] { return bench::bare_file(folder, n); }},
      {"SQLite, a row per item", [&] { return bench::sqlite_row_per_item(folder, n); }},
      {"RocksDB, synced batches", [&] { return bench::rocksdb_batches(folder, n); }},
      {"LMDB, synced transactions", [&] { return bench::lmdb_batches(folder, n); }},
      {"DurableStream, 4 threads, a receipt per item",
       [&] { return synced_appends(folder, n, false); }},
      {"DurableStream, 4 threads, a receipt per 1000 items",
       [&] { return synced_appends(folder, n, true); }},
      {"DurableStream, end to end: append synced ... commit",
       [&] { return end_to_end(folder, n); }}};
  race(all);
  const auto items = static_cast<double>(n);
  fmt::print("  {:<52}{:>24}{:>18}{:>16}{:>13}\n", "", "M items/s (range)", "processor ns/item",
             "times bare file", "times SQLite");
  for (const Contender& c : all) {
    const auto [least, most] = std::minmax_element(c.results.begin(), c.results.end());
    if (*most <= 0) {
      fmt::print("  {:<52}{:>24}\n", c.name, "not installed");
      continue;
    }
    fmt::print("  {:<52}{:>24}{:>18.0f}{:>16.2f}{:>13.2f}\n", c.name,
               fmt::format("{:.2f} ({:.2f}-{:.2f})", items / median(c.results) / 1e6,
                           items / *most / 1e6, items / *least / 1e6),
               median(c.processor) / items * 1e9, ratio(all[0].results, c.results),
               ratio(all[1].results, c.results));
  }
}

void latency(const std::string& folder, std::size_t n) {
  std::vector<Contender> all{
      {"bare file, write + fdatasync", [&] { return bench::bare_file_one_by_one(folder, n); }},
      {"DurableStream", [&] { return waits_for_each(folder, n); }},
      {"DurableStream, beside callbacks of 50 ms",
       [&] { return waits_beside_a_slow_callback(folder, n); }}};
  race(all);
  for (const Contender& c : all) {
    const auto [least, most] = std::minmax_element(c.results.begin(), c.results.end());
    fmt::print("  {:<52}{:>24}{:>31.2f} times bare file\n", c.name,
               fmt::format("{:.0f} us ({:.0f}-{:.0f})", median(c.results), *least, *most),
               ratio(c.results, all[0].results));
  }
}

}  // namespace

int main(int argc, char** argv) {
  const std::string folder = argc > 1 ? argv[1] : ".";
  const std::size_t n = argc > 2 ? std::strtoul(argv[2], nullptr, 10) : 1'000'000;
  fmt::print(
      "synced appends of {} items of {} bytes, {} to a sync for the peers; medians of {} "
      "interleaved rounds, ratios round by round\n",
      n, bench::item_size, bench::group, rounds);
  throughput(folder, n);
  fmt::print("one thread that waits for each\n");
  latency(folder, std::min<std::size_t>(n, 2000));
  fmt::print("reopening with {} pending items\n", n);
  std::vector<Contender> reopening{
      {"to the first window of 1000", [&] { return first_window_after_reopening(folder, n); }}};
  race(reopening);
  const auto [least, most] =
      std::minmax_element(reopening[0].results.begin(), reopening[0].results.end());
  fmt::print("  {:<52}{:>24}\n", reopening[0].name,
             fmt::format("{:.1f} ms ({:.1f}-{:.1f})", median(reopening[0].results), *least, *most));
  for (const char* name : {"bare", "rows.db", "rocks", "lmdb", "ours.db"})
    (void)bench::fresh(folder, name);
}
