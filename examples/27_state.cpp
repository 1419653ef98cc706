// Technique 3 of 8, state: what outlives a window. A table by key is updated by windows, whole or
// not at all, while another thread reads it. The items are real: the sizes of the headers that this
// compiler brings along, by the folder they lie in.

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <microbatch/microbatch.hpp>
#include <string>
#include <thread>

namespace {

struct File {
  std::string folder;
  std::uint64_t bytes;
};
struct Total {
  std::uint64_t files = 0;
  std::uint64_t bytes = 0;
};

}  // namespace

int main() {
  using namespace microbatch;
  namespace fs = std::filesystem;
  Table<std::string, Total> totals({.max_keys = 10'000});
  Stream<File> files({.capacity = 1024});
  auto consumer = streaming(files, CountWindow{100}, [&](std::span<const File> window) {
    totals.transaction([&](auto& rows) {
      for (const File& file : window) {
        Total& total = rows[file.folder];
        ++total.files;
        total.bytes += file.bytes;
      }
    });
  });

  std::size_t looked = 0;
  bool whole = true;
  {
    std::jthread reader([&](const std::stop_token& stop) {
      do {  // what it sees is the work of whole windows
        std::uint64_t seen = 0;
        for (const auto& [folder, total] : totals.snapshot()) seen += total.files;
        whole = whole && (seen % 100 == 0 || stop.stop_requested());
        ++looked;
      } while (!stop.stop_requested());
    });
    const fs::path root = fs::exists("/usr/include/c++") ? "/usr/include/c++" : ".";
    for (const auto& entry : fs::recursive_directory_iterator(root))
      if (entry.is_regular_file())
        files.append({entry.path().parent_path().filename().string(), entry.file_size()});
    reader.request_stop();
  }
  const auto end = consumer.close();

  auto rows = totals.snapshot();
  std::ranges::sort(rows,
                    [](const auto& a, const auto& b) { return a.second.bytes > b.second.bytes; });
  std::uint64_t counted = 0;
  for (const auto& [folder, total] : rows) counted += total.files;
  for (std::size_t i = 0; i < std::min<std::size_t>(5, rows.size()); ++i)
    fmt::print("{:>9} bytes in {:>4} files of {}\n", rows[i].second.bytes, rows[i].second.files,
               rows[i].first);
  fmt::print("{} folders; read {} times meanwhile\n", rows.size(), looked);
  return whole && looked > 0 && counted == end.delivered && counted > 0 ? 0 : 1;
}
