// Technique 7 of 8, exactly once: state that is neither behind its input nor ahead of it, whatever
// happens in between. Files are counted by folder into a table of the same file that their stream
// is in, and a window's counts are committed with the window. The process that counts is killed
// (kill -9) again and again; in the end every file was counted once. The items are real: the
// headers that this compiler brings along.

#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <map>
#include <microbatch/emitters/count_window.hpp>
#include <microbatch/sqlite/durable_stream.hpp>
#include <microbatch/sqlite/table.hpp>
#include <string>
#include <vector>

namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using Counts = std::map<std::string, std::int64_t>;

/// The stream and its state, as each process opens them.
struct Pipeline {
  explicit Pipeline(const std::string& path)
      : file(std::make_shared<microbatch::sqlite::Database>(path)),
        folders(file, "folders"),
        counts(file, "counts") {}

  std::shared_ptr<microbatch::sqlite::Database> file;
  microbatch::sqlite::DurableStream<std::string> folders;
  microbatch::sqlite::Table<std::string, std::int64_t> counts;
};

/// Counts what there is; kill -9 comes in the midst of the window of that number.
void count(const std::string& path, int last_window) {
  Pipeline pipeline(path);
  auto consumer = microbatch::streaming(
      pipeline.folders, microbatch::CountWindow{10},
      [&](microbatch::sqlite::Window<std::string>& window) {
        pipeline.counts.transaction(window, [&](auto& rows) {
          for (const std::string& folder : window) ++rows[folder];
        });
        if (--last_window == 0) kill(getpid(), SIGKILL);
      },
      {}, {.lease = 100ms});  // so long a dead one keeps its successor waiting
  consumer.flush();
}

/// Runs f in a process of its own; true if that came to its end.
template <class F>
bool in_process(F f) {
  const pid_t child = fork();
  if (child == 0) {
    f();
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

}  // namespace

int main() {
  const std::string path = "exactly_once.db";
  for (const char* end : {"", "-wal", "-shm", "-lock"}) fs::remove(path + end);

  const fs::path root = fs::exists("/usr/include/c++") ? "/usr/include/c++" : ".";
  std::vector<std::string> input;
  for (const auto& entry : fs::recursive_directory_iterator(root))
    if (entry.is_regular_file()) input.push_back(entry.path().parent_path().filename().string());
  Counts expected;
  for (const std::string& folder : input) ++expected[folder];

  bool fine =
      in_process([&] { Pipeline(path).folders.append_range(input, microbatch::synced).get(); });
  int kills = 0;
  while (kills < 5 && !in_process([&] { count(path, 10); })) ++kills;
  fine = in_process([&] { count(path, 0); }) && fine;

  const Pipeline pipeline(path);
  Counts counted;
  for (auto& [folder, n] : pipeline.counts.snapshot()) counted.emplace(folder, n);
  fine = fine && counted == expected;
  fmt::print("{} files in {} folders, counted by 6 processes of which {} were killed: {}\n",
             input.size(), counted.size(), kills, fine ? "each once" : "WRONG");
  return fine ? 0 : 1;
}
