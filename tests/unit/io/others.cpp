#include <microbatch/io/callback_sink.hpp>
#include <microbatch/io/file_sinks.hpp>
#include <microbatch/io/generator_source.hpp>
#include <microbatch/io/input_source.hpp>
#include <microbatch/io/output_sink.hpp>
#include <microbatch/io/range_source.hpp>

#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <memory>
#include <optional>
#include <ranges>

#include "folder.hpp"

using namespace microbatch;
using namespace std::chrono_literals;
using test::Folder;
using test::Lines;

namespace {

struct Pipe {
  Pipe() { REQUIRE(::pipe(ends.data()) == 0); }
  ~Pipe() {
    ::close(ends[0]);
    close_writer();
  }
  void write(const std::string& text) const {
    REQUIRE(::write(ends[1], text.data(), text.size()) == static_cast<::ssize_t>(text.size()));
  }
  void close_writer() {
    if (ends[1] >= 0) ::close(std::exchange(ends[1], -1));
  }
  std::array<int, 2> ends{};
};

Lines of(const Lines& lines) { return lines; }

/// A limit on the size of files, as a full disk: writes beyond it fail.
struct FileSizeLimit {
  explicit FileSizeLimit(rlim_t bytes) {
    std::signal(SIGXFSZ, SIG_IGN);
    ::getrlimit(RLIMIT_FSIZE, &before);
    auto limit = before;
    limit.rlim_cur = bytes;
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() { ::setrlimit(RLIMIT_FSIZE, &before); }
  rlimit before{};
};

}  // namespace

TEST_CASE("a range's elements are appended from its beginning to its end", "[io]") {
  std::vector<int> seen;
  const auto collect = [&](std::span<const int> items) {
    seen.insert(seen.end(), items.begin(), items.end());
  };
  const auto result = run(RangeSource(std::vector{1, 2, 3}), CountWindow{2}, collect);
  CHECK(result.closed.delivered == 3);
  run(RangeSource(std::views::iota(4, 6)), CountWindow{2}, collect);
  CHECK(seen == std::vector{1, 2, 3, 4, 5});
}

TEST_CASE("a generator is asked until it returns nothing", "[io]") {
  int next = 0;
  std::vector<std::unique_ptr<int>> seen;
  run(GeneratorSource([&]() -> std::optional<std::unique_ptr<int>> {
        if (next == 3) return std::nullopt;
        return std::make_unique<int>(next++);
      }),
      CountWindow{2}, [&](Window<std::unique_ptr<int>>& window) {
        for (auto& item : window) seen.push_back(std::move(item));
      });
  REQUIRE(seen.size() == 3);
  CHECK(*seen[2] == 2);
}

TEST_CASE("a generator that blocks is stopped by its stop token", "[io]") {
  std::stop_source stop;
  std::jthread stopper([&] { stop.request_stop(); });
  RunOptions<int, void> options;
  options.stop = stop.get_token();
  run(
      GeneratorSource([](const std::stop_token& asked) -> std::optional<int> {
        while (!asked.stop_requested()) std::this_thread::yield();
        return std::nullopt;
      }),
      CountWindow{1}, [](Window<int>&) {}, NoSink{}, std::move(options));
}

TEST_CASE("an input is read to its end, in lines", "[io]") {
  Pipe pipe;
  test::Running<InputSource> running{InputSource(pipe.ends[0], 10)};
  pipe.write("one\ntw");
  CHECK(running.wait_for(1) == Lines{"one"});
  pipe.write("o\n0123456789\n01234567890\nend");
  pipe.close_writer();
  CHECK(running.join() == of({"one", "two", "0123456789", "end"}));
  CHECK(running.source().too_long() == 1);
}

TEST_CASE("an input that says nothing is stopped all the same", "[io]") {
  const Pipe pipe;
  test::Running<InputSource> running{InputSource(pipe.ends[0])};
  CHECK(running.stop().empty());
}

TEST_CASE("an input must be open for reading", "[io]") {
  const Pipe pipe;
  CHECK_THROWS_AS(InputSource(pipe.ends[1]), ConfigError);
  CHECK_THROWS_AS(InputSource(-1), ConfigError);
  CHECK_THROWS_AS(InputSource(pipe.ends[0], 0), ConfigError);
}

TEST_CASE("a file is appended to, a line per result", "[io]") {
  const Folder folder;
  folder.write("out", "there\n");
  AppendFileSink sink({.file = folder / "out"});
  sink.put(std::span<const std::string>(Lines{"a", "b"}));
  sink.put(std::span<const int>(std::array{1, 2}));
  sink.put(std::span<const int>());
  CHECK(folder.read("out") == "there\na\nb\n1\n2\n");
}

TEST_CASE("a window that does not fit on the disk leaves nothing of itself in the file", "[io]") {
  const Folder folder;
  AppendFileSink sink({.file = folder / "out"});
  sink.put(std::span<const std::string>(Lines{"first"}));
  const Lines window{std::string(500, 'x'), std::string(1000, 'y')};
  {
    const FileSizeLimit limit(1000);
    CHECK_THROWS_AS(sink.put(std::span<const std::string>(window)), TransientError);
    CHECK(folder.read("out") == "first\n");
  }
  sink.put(std::span<const std::string>(window));  // there is room again
  CHECK(folder.read("out") == "first\n" + window[0] + "\n" + window[1] + "\n");
}

TEST_CASE("a file that cannot be opened for appending is an error at construction", "[io]") {
  const Folder folder;
  CHECK_THROWS_WITH(AppendFileSink({.file = folder / "no/out"}), ContainsSubstring("no/out"));
}

TEST_CASE("each window becomes a file of its own, numbered on", "[io]") {
  const Folder folder;
  folder.write("rows-0000000006.csv", "");
  folder.write("rows-x.csv", "");
  FolderSink sink({.folder = folder.path(), .prefix = "rows-", .suffix = ".csv"});
  sink.put(std::span<const std::string>(Lines{"a;1", "b;2"}));
  sink.put(std::span<const std::string>(Lines{"c;3"}));
  CHECK(folder.read("rows-0000000007.csv") == "a;1\nb;2\n");
  CHECK(folder.read("rows-0000000008.csv") == "c;3\n");
  sink.put(std::span<const std::string>());
  CHECK(!std::filesystem::exists(folder / "rows-0000000009.csv"));
}

TEST_CASE("a window file that does not fit on the disk does not appear", "[io]") {
  const Folder folder;
  FolderSink sink({.folder = folder.path()});
  const Lines window{std::string(5000, 'x')};
  {
    const FileSizeLimit limit(1000);
    CHECK_THROWS_AS(sink.put(std::span<const std::string>(window)), TransientError);
  }
  CHECK(std::filesystem::is_empty(folder.path()));
  sink.put(std::span<const std::string>(window));
  CHECK(folder.read("part-0000000000.txt") == window[0] + "\n");
}

TEST_CASE("a folder sink refuses names that cannot be", "[io]") {
  const Folder folder;
  CHECK_THROWS_AS(FolderSink({.folder = folder / "none"}), ConfigError);
  CHECK_THROWS_AS(FolderSink({.folder = folder.path(), .prefix = "../x"}), ConfigError);
  CHECK_THROWS_AS(FolderSink({.folder = folder.path(), .prefix = ".x"}), ConfigError);
  CHECK_THROWS_AS(FolderSink({.folder = folder.path(), .suffix = "/"}), ConfigError);
}

TEST_CASE("results are written to a descriptor, a line each", "[io]") {
  const Pipe pipe;
  OutputSink sink(pipe.ends[1]);
  sink.put(std::span<const double>(std::array{0.5, 2.0}));
  std::array<char, 100> bytes{};
  const auto n = ::read(pipe.ends[0], bytes.data(), bytes.size());
  CHECK(std::string(bytes.data(), static_cast<std::size_t>(n)) == "0.5\n2\n");
}

TEST_CASE("a callback takes the results of each window", "[io]") {
  std::vector<int> sums;
  run(
      RangeSource(std::vector{1, 2, 3}), CountWindow{2},
      [](std::span<const int> items) { return items[0] * 10; },
      CallbackSink([&](std::span<const int> results) {
        sums.insert(sums.end(), results.begin(), results.end());
      }));
  CHECK(sums == std::vector{10, 30});
}
