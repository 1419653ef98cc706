// How fast are appends that survive a power cut, alone and all the way to a committed window,
// beside what one would use instead? One machine, one run, items of 100 bytes.
//
//   bench_durable [FOLDER] [ITEMS]      on the file system of FOLDER (default: here)

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <microbatch/emitters/count_window.hpp>
#include <microbatch/sqlite/durable_stream.hpp>
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

double waits_for_each(const std::string& folder, std::size_t n) {
  Items stream(bench::fresh(folder, "ours.db"), "items");
  const bench::Stopwatch watch;
  for (std::size_t i = 0; i < n; ++i) stream.append(bench::item(i), synced).get();
  return watch.seconds() / static_cast<double>(n) * 1e6;
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

/// The median of three runs, interleaved with nothing else.
template <class Run>
double median(Run run) {
  std::vector<double> results{run(), run(), run()};
  std::sort(results.begin(), results.end());
  return results[1];
}

void row(const char* name, double seconds, std::size_t n) {
  if (seconds > 0)
    fmt::print("  {:<58}{:>8.2f} M items/s\n", name, static_cast<double>(n) / seconds / 1e6);
  else
    fmt::print("  {:<58}{:>18}\n", name, "not installed");
}

}  // namespace

int main(int argc, char** argv) {
  const std::string folder = argc > 1 ? argv[1] : ".";
  const std::size_t n = argc > 2 ? std::strtoul(argv[2], nullptr, 10) : 1'000'000;
  fmt::print("synced appends of {} items of {} bytes, {} to a sync for the peers\n", n,
             bench::item_size, bench::group);
  row("bare file, write + fdatasync", median([&] { return bench::bare_file(folder, n); }), n);
  row("SQLite, a row per item", median([&] { return bench::sqlite_row_per_item(folder, n); }), n);
  row("RocksDB, synced batches", median([&] { return bench::rocksdb_batches(folder, n); }), n);
  row("LMDB, synced transactions", median([&] { return bench::lmdb_batches(folder, n); }), n);
  row("DurableStream, 4 threads, a receipt per item",
      median([&] { return synced_appends(folder, n, false); }), n);
  row("DurableStream, 4 threads, a receipt per 1000 items",
      median([&] { return synced_appends(folder, n, true); }), n);
  row("DurableStream, end to end: append synced ... commit",
      median([&] { return end_to_end(folder, n); }), n);
  fmt::print("one thread that waits for each\n");
  const double bare = median([&] { return bench::bare_file_one_by_one(folder, 1000); });
  const double ours = median([&] { return waits_for_each(folder, 1000); });
  fmt::print("  {:<58}{:>8.0f} us\n", "bare file, write + fdatasync", bare);
  fmt::print("  {:<58}{:>8.0f} us, {:.2f} times\n", "DurableStream", ours, ours / bare);
  fmt::print("reopening with {} pending items\n", n);
  fmt::print("  {:<58}{:>8.1f} ms\n", "to the first window of 1000",
             median([&] { return first_window_after_reopening(folder, n); }));
  for (const char* name : {"bare", "rows.db", "rocks", "lmdb", "ours.db"})
    (void)bench::fresh(folder, name);
}
