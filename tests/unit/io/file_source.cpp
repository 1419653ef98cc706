#include <microbatch/io/file_source.hpp>
#include <microbatch/io/position_file.hpp>

#include <stdexcept>

#include "folder.hpp"

using namespace microbatch;
using namespace std::chrono_literals;
using test::Folder;
using test::Lines;

namespace {

using Running = test::Running<FileSource>;

FileSourceOptions following(const Folder& folder) {
  return {.file = folder / "log",
          .follow = true,
          .position = folder / "position",
          .poll_interval = 1ms,
          .rotation_grace = 20ms};
}
FileSourceOptions once(const Folder& folder) {
  return {.file = folder / "log", .position = folder / "position"};
}

Lines read_once(const Folder& folder) {
  Running running{FileSource(once(folder))};
  auto lines = running.join();
  CHECK(running.errors().empty());
  return lines;
}

const std::string long_head(2000, 'h');

}  // namespace

TEST_CASE("a file's lines are its bytes between newlines, the last one unfinished or not",
          "[file_source]") {
  const Folder folder;
  folder.write("log", std::string("one\r\n\n\0two\n\xff three", 18));
  CHECK(read_once(folder) == Lines{"one\r", "", std::string("\0two", 4), "\xff three"});
}

TEST_CASE("an empty file has no lines", "[file_source]") {
  const Folder folder;
  folder.write("log", "");
  CHECK(read_once(folder).empty());
}

TEST_CASE("a line above max_line_bytes is passed over and counted, its neighbours are not",
          "[file_source]") {
  const Folder folder;
  const std::string most(100'000, 'm');
  folder.write("log", "a\n" + most + "\n" + most + "x\nb\n" + most + most + "\nc\n" + most + "y");
  auto options = once(folder);
  options.max_line_bytes = most.size();
  Running running{FileSource(options)};
  CHECK(running.join() == Lines{"a", most, "b", "c"});
  CHECK(running.source().stats().too_long == 3);
  CHECK(running.source().stats().lines == 4);
}

TEST_CASE("a restart goes on where the last commit was", "[file_source]") {
  const Folder folder;
  folder.write("log", "1\n2\n");
  CHECK(read_once(folder) == Lines{"1", "2"});
  CHECK(read_once(folder).empty());
  folder.append("log", "3\n4\n");
  CHECK(read_once(folder) == Lines{"3", "4"});
}

TEST_CASE("what was not delivered is read again after a restart", "[file_source]") {
  const Folder folder;
  folder.write("log", "1\n2\n3\n4\n");
  {
    FileSource source(once(folder));
    Stream<std::string> stream;
    auto tracker = std::make_shared<detail::CommitTracker>();
    Feed<std::string> feed(stream, tracker);
    source.run(feed, {});
    source.commit({.partition = 0, .offset = 4});  // two lines
  }
  CHECK(read_once(folder) == Lines{"3", "4"});
}

TEST_CASE("following waits for what is appended, and for the end of an unfinished line",
          "[file_source]") {
  const Folder folder;
  Running running{FileSource(following(folder))};  // the file is not there yet
  folder.write("log", "1\n2");
  CHECK(running.wait_for(1) == Lines{"1"});
  folder.append("log", "2\n3\n4");
  CHECK(running.wait_for(3) == Lines{"1", "22", "3"});
  CHECK(running.end() == Lines{"1", "22", "3"});
  folder.append("log", "4\n");
  CHECK(read_once(folder) == Lines{"44"});
}

TEST_CASE("from_end begins with what comes from now on, once", "[file_source]") {
  const Folder folder;
  folder.write("log", "old\n");
  auto options = following(folder);
  options.from_end = true;
  {
    Running running{FileSource(options)};
    do folder.append("log", "new\n");  // until it has found the end
    while (running.wait_for(1, 10ms).empty());
    const auto lines = running.end();
    CHECK(std::ranges::count(lines, "old") == 0);
  }
  folder.append("log", "after\n");
  Running running{FileSource(options)};
  CHECK(running.wait_for(1).back() == "after");
}

TEST_CASE("a file that is renamed away is read to its end, then the new one", "[file_source]") {
  const Folder folder;
  folder.write("log", "1\n");
  Running running{FileSource(following(folder))};
  running.wait_for(1);
  folder.rename("log", "log.1");
  folder.append("log.1", "2\n");  // whoever writes has not noticed yet
  folder.write("log", "3\n");
  CHECK(running.wait_for(3) == Lines{"1", "2", "3"});
  folder.rename("log.1", "log.2");
  folder.rename("log", "log.1");
  folder.write("log", "4\n");
  CHECK(running.wait_for(4) == Lines{"1", "2", "3", "4"});
  CHECK(running.source().stats().rotations == 2);
  CHECK(running.source().stats().gaps == 0);
  running.end();
  CHECK(read_once(folder).empty());
}

TEST_CASE("a file that is copied and cut is read on from its copy", "[file_source]") {
  const Folder folder;
  folder.write("log", "1\nhal");
  Running running{FileSource(following(folder))};
  running.wait_for(1);
  // Copy and cut at once, as far as the reader can see: it looks at its file by the descriptor.
  folder.append("log", "f\n2\n");
  running.wait_for(3);
  std::filesystem::copy_file(folder / "log", folder / "log.1");
  folder.append("log.1", "3\n");  // read by nobody before the cut
  std::filesystem::resize_file(folder / "log", 0);
  folder.append("log", "4\n");
  CHECK(running.wait_for(5) == Lines{"1", "half", "2", "3", "4"});
  CHECK(running.source().stats().gaps == 0);
  running.end();
  CHECK(read_once(folder).empty());
}

TEST_CASE("a file that is cut and has grown beyond the position again is noticed by its head",
          "[file_source]") {
  const Folder folder;
  folder.write("log", "1\n");
  FileSourceOptions options = following(folder);
  options.poll_interval = 300ms;  // all of it happens between two looks
  Running running{FileSource(options)};
  running.wait_for(1);
  std::filesystem::copy_file(folder / "log", folder / "log.1");
  folder.write("log", "new and longer\n");  // the same inode
  CHECK(running.wait_for(2) == Lines{"1", "new and longer"});
}

TEST_CASE("a cut without a copy is a gap: counted, told, and read from the beginning",
          "[file_source]") {
  const Folder folder;
  folder.write("log", "1\n2\n");
  auto options = following(folder);
  std::mutex mutex;
  std::string told;
  options.on_notice = [&](const std::string& text) {
    const std::lock_guard lock(mutex);
    told += text;
  };
  Running running{FileSource(options)};
  running.wait_for(2);
  folder.write("log", "3\n");
  CHECK(running.wait_for(3) == Lines{"1", "2", "3"});
  running.stop();
  CHECK(running.source().stats().gaps == 1);
  CHECK_THAT(told, ContainsSubstring("no copy of it was found"));
}

TEST_CASE("rotations by name while stopped: the rest of the old file, those between, the new one",
          "[file_source]") {
  const Folder folder;
  folder.write("log", long_head + "\n");
  CHECK(read_once(folder) == Lines{long_head});
  folder.append("log", "rest\n");
  folder.rename("log", "log.1");
  folder.write("log", "between\n");
  folder.rename("log.1", "log.2");
  folder.rename("log", "log.1");
  folder.write("log", "new\n");
  folder.write("log.3.gz", "never looked at");
  folder.write("log.lock", "not a rotation");
  CHECK(read_once(folder) == Lines{"rest", "between", "new"});
}

TEST_CASE("a rotation by copy and cut while stopped: the rest of the copy, then the file",
          "[file_source]") {
  const Folder folder;
  folder.write("log", "1\n");
  CHECK(read_once(folder) == Lines{"1"});
  folder.append("log", "2\n");
  std::filesystem::copy_file(folder / "log", folder / "log-20260101");
  folder.write("log", "3 is longer than what was there before\n");
  CHECK(read_once(folder) == Lines{"2", "3 is longer than what was there before"});
}

TEST_CASE("a file that is gone while stopped is a gap", "[file_source]") {
  const Folder folder;
  folder.write("log", "1\n");
  CHECK(read_once(folder) == Lines{"1"});
  std::filesystem::remove(folder / "log");
  folder.write("log", "2\n3\n");
  auto options = once(folder);
  options.from_end = true;  // is for the first start alone
  Running running{FileSource(options)};
  CHECK(running.join() == Lines{"2", "3"});
  CHECK(running.source().stats().gaps == 1);
}

TEST_CASE("the position stays in a file until all its lines have committed", "[file_source]") {
  const Folder folder;
  folder.write("log.1", "a\nb\n");
  folder.write("log", "c\n");
  {
    auto options = once(folder);
    options.save_every = 0ns;
    FileSource source(options);
    Stream<std::string> stream;
    Feed<std::string> feed(stream, std::make_shared<detail::CommitTracker>());
    folder.rename("log", "log.x");
    folder.rename("log.1", "log");
    std::stop_source stop;
    auto followed = following(folder);
    followed.position = folder / "position-2";
    FileSource follower(followed);
    std::jthread reading([&] { follower.run(feed, stop.get_token()); });
    while (follower.stats().lines < 2) std::this_thread::yield();
    folder.rename("log", "log.1");
    folder.rename("log.x", "log");
    while (follower.stats().lines < 3) std::this_thread::yield();
    stop.request_stop();
    reading.join();
    follower.commit({.partition = 0, .offset = 2});  // a, of log.1
  }
  auto options = once(folder);
  options.position = folder / "position-2";
  Running running{FileSource(options)};
  CHECK(running.join() == Lines{"b", "c"});
}

TEST_CASE("a damaged position is an error, never a position", "[file_source]") {
  const Folder folder;
  folder.write("log", "1\n");
  CHECK(read_once(folder) == Lines{"1"});
  const std::string good = folder.read("position");
  for (std::size_t i = 0; i < good.size(); ++i) {
    for (const char bit : {'\x01', '\x20'}) {
      std::string bad = good;
      bad[i] = static_cast<char>(bad[i] ^ bit);
      folder.write("position", bad);
      Running running{FileSource(once(folder))};
      CHECK(running.join().empty());
      REQUIRE(running.errors().size() == 1);
      CHECK_THAT(running.errors()[0], ContainsSubstring("Remove it to read from the beginning"));
    }
    folder.write("position", good.substr(0, i));
    Running running{FileSource(once(folder))};
    CHECK(running.join().empty());
    CHECK(running.errors().size() == 1);
  }
  folder.write("position", PositionFile::encode("file 1 2 head 3 4 offset 5\n6"));
  Running running{FileSource(once(folder))};
  running.join();
  REQUIRE(running.errors().size() == 1);
  CHECK_THAT(running.errors()[0], ContainsSubstring("it is no position in a file"));
}

TEST_CASE("two sources do not share a position file", "[file_source]") {
  const Folder folder;
  folder.write("log", "1\n");
  const FileSource first(once(folder));
  CHECK_THROWS_AS(FileSource(once(folder)), ConfigError);
}

TEST_CASE("a position that cannot be saved is a background error, and nothing is lost by it",
          "[file_source]") {
  const Folder folder;
  folder.write("log", "1\n2\n");
  auto options = once(folder);
  std::filesystem::create_directory(folder / "deep");
  options.position = folder / "deep/position";
  options.save_every = 0ns;
  {
    FileSource source(options);
    std::filesystem::remove_all(folder / "deep");
    Running running{std::move(source)};
    CHECK(running.join() == Lines{"1", "2"});
    REQUIRE(!running.errors().empty());
    CHECK_THAT(running.errors()[0], ContainsSubstring("deep/position"));
  }
  std::filesystem::create_directory(folder / "deep");
  Running running{FileSource(options)};
  CHECK(running.join() == Lines{"1", "2"});
}

TEST_CASE("file sources refuse settings that cannot work", "[file_source]") {
  const Folder folder;
  folder.write("log", "");
  const auto refused = [&](auto change, const std::string& field) {
    auto options = once(folder);
    change(options);
    CHECK_THROWS_WITH(FileSource(options), ContainsSubstring(field));
  };
  refused([&](auto& o) { o.file = ""; }, "FileSourceOptions.file");
  refused([&](auto& o) { o.file = folder.path(); }, "FileSourceOptions.file");
  refused([&](auto& o) { o.position = o.file; }, "FileSourceOptions.position");
  refused([&](auto& o) { o.max_line_bytes = 0; }, "max_line_bytes");
  refused([&](auto& o) { o.poll_interval = 0ns; }, "poll_interval");
  refused([&](auto& o) { o.rotation_grace = -1ns; }, "rotation_grace");
  refused([&](auto& o) { o.save_every = -1ns; }, "save_every");

  Running missing{FileSource({.file = folder / "nowhere"})};
  CHECK(missing.join().empty());
  REQUIRE(missing.errors().size() == 1);
  CHECK_THAT(missing.errors()[0], ContainsSubstring("nowhere"));
}
