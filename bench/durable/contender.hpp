#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace bench {

constexpr std::size_t item_size = 100;
constexpr std::size_t group = 1000;  // items that a peer syncs together

inline std::string item(std::uint64_t i) {
  std::string text = std::to_string(i);
  text.resize(item_size, 'x');
  return text;
}

/// A file name of its own, with nothing there.
inline std::string fresh(const std::string& folder, const std::string& name) {
  const std::string path = folder + "/" + name;
  for (const char* suffix : {"", "-wal", "-shm", "-lock"})
    std::filesystem::remove_all(path + suffix);
  return path;
}

class Stopwatch {
 public:
  [[nodiscard]] double seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

/// Each writes n items, 1000 to a sync, and returns the seconds that it took.
double bare_file(const std::string& folder, std::size_t n);
double sqlite_row_per_item(const std::string& folder, std::size_t n);
double rocksdb_batches(const std::string& folder, std::size_t n);
double lmdb_batches(const std::string& folder, std::size_t n);

/// Microseconds per item of one thread that syncs each.
double bare_file_one_by_one(const std::string& folder, std::size_t n);

}  // namespace bench
