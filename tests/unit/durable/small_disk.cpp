// A real small disk: a tmpfs, where this process may mount one; and a limit on the size of a file.

#include <sys/mount.h>
#include <sys/resource.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <filesystem>

#include "worlds.hpp"

using namespace test;
using microbatch::StorageError;
using microbatch::synced;
using Lines = microbatch::sqlite::DurableStream<std::string>;

namespace {

class SmallDisk {
 public:
  SmallDisk() : mounted_(mount("tmpfs", path().c_str(), "tmpfs", 0, "size=1m,mode=0700") == 0) {
    if (!mounted_) WARN("skipped, because mount is refused: " << std::strerror(errno));
  }
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;
  ~SmallDisk() {
    if (mounted_) umount2(path().c_str(), MNT_DETACH);
  }
  [[nodiscard]] explicit operator bool() const noexcept { return mounted_; }
  [[nodiscard]] std::string path() const { return folder_.file(""); }
  [[nodiscard]] std::string file() const { return folder_.file("a.db"); }
  void change(unsigned long flags, const char* options) const {
    REQUIRE(mount("tmpfs", path().c_str(), "tmpfs", MS_REMOUNT | flags, options) == 0);
  }
  [[nodiscard]] Lines open() const {
    return Lines(file(), "lines",
                 {.file = {.busy_timeout = 200ms, .checkpoint_bytes = 65'536, .page_size = 4096}});
  }

 private:
  Folder folder_;
  bool mounted_;
};

/// No file of this process becomes larger: the kernel writes what fits, and refuses the next write.
class SizeLimit {
 public:
  explicit SizeLimit(std::uintmax_t bytes) {
    std::signal(SIGXFSZ, SIG_IGN);
    REQUIRE(getrlimit(RLIMIT_FSIZE, &before_) == 0);
    const rlimit limit{bytes, before_.rlim_max};
    REQUIRE(setrlimit(RLIMIT_FSIZE, &limit) == 0);
  }
  SizeLimit(const SizeLimit&) = delete;
  SizeLimit& operator=(const SizeLimit&) = delete;
  ~SizeLimit() {
    setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, SIG_DFL);
  }

 private:
  rlimit before_{};
};

/// Appended until the disk refused one.
Strings fill(Lines& lines, const std::string& expected) {
  Strings kept;
  for (int i = 0; i < 1000; ++i) {
    const std::string item = std::to_string(i) + std::string(10'000, 'x');
    try {
      (void)lines.append(item, synced).get();
      kept.push_back(item);
    } catch (const StorageError& error) {
      CHECK_THAT(error.what(), Catch::Contains(expected));
      return kept;
    }
  }
  FAIL("the disk is never full");
  return kept;
}

}  // namespace

TEST_CASE("a disk that is full: refused with file and cause, and it goes on with space",
          "[durable][faults]") {
  const SmallDisk disk;
  if (!disk) return;
  Strings kept;
  {
    auto lines = disk.open();
    kept = fill(lines, disk.file());
    CHECK(kept.size() > 10);
    CHECK(lines.stored().pending == kept.size());
    CHECK_THROWS_AS(lines.append(kept[0], synced).get(), StorageError);
    disk.change(0, "size=8m");
    lines.append("after", synced).get();
    kept.emplace_back("after");
  }
  auto lines = disk.open();
  Delivered seen;
  auto consumer = consume(lines, 1, [&](auto& window) { seen.add(window); });
  consumer.flush();
  CHECK(seen.items() == kept);
}

TEST_CASE("a consumer on a full disk delivers all of it once there is space, once in effect",
          "[durable][faults]") {
  const SmallDisk disk;
  if (!disk) return;
  auto lines = disk.open();
  lines.storage().database().execute("CREATE TABLE results(x TEXT UNIQUE)");
  const Strings kept = fill(lines, disk.file());
  std::atomic<int> calls{0};
  auto consumer =
      consume(lines, 1,
              [&](microbatch::sqlite::Window<std::string>& window) {
                if (++calls == 3) disk.change(0, "size=16m");
                window.transaction().execute("INSERT INTO results VALUES (?)", window[0]);
              },
              {.on_failure = quick_retries()});
  consumer.flush();
  CHECK(lines.stored().pending == 0);
  CHECK(lines.stored().delivered == kept.size());
  CHECK(lines.stored().dead_lettered == 0);
}

TEST_CASE("a disk that may not be written: refused with file and cause, and it goes on later",
          "[durable][faults]") {
  const SmallDisk disk;
  if (!disk) return;
  {
    auto lines = disk.open();
    lines.append("a", synced).get();
  }
  disk.change(MS_RDONLY, "");
  CHECK_THROWS_WITH(disk.open(), Catch::Contains(disk.file()) && Catch::Contains("Read-only"));
  disk.change(0, "size=1m");
  auto lines = disk.open();
  lines.append("b", synced).get();
  CHECK(lines.stored().pending == 2);
}

TEST_CASE("a write that is cut short: refused with the file, nothing is lost, and it goes on later",
          "[durable][faults]") {
  const Folder folder;
  const std::string path = folder.file("a.db");
  {
    Lines lines(path, "lines");
    lines.append("a", synced).get();
    {
      const SizeLimit limit(std::filesystem::file_size(path + "-wal") + 1000);  // part of a page
      CHECK_THROWS_WITH(lines.append(std::string(100'000, 'x'), synced).get(),
                        Catch::Contains(path));
      CHECK(lines.stored().pending == 1);
      CHECK(lines.append("queued") == microbatch::AppendResult::accepted);
    }
    lines.flush();
    lines.append("b", synced).get();
  }
  Lines lines(path, "lines");
  Delivered seen;
  auto consumer = consume(lines, 1, [&](auto& window) { seen.add(window); });
  consumer.flush();
  CHECK(seen.items() == Strings{"a", "queued", "b"});
}
