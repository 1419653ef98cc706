// Disks that fail: on a VFS of the tests' own.

#include <atomic>
#include <future>
#include <thread>

#include "support/power_cut_vfs.hpp"
#include "worlds.hpp"

using namespace test;
using microbatch::StorageError;
using microbatch::synced;
using Lines = microbatch::sqlite::DurableStream<std::string>;

namespace {

struct Disk {
  Disk() { disk.format(); }
  ~Disk() { disk.format(); }
  [[nodiscard]] Lines open(microbatch::DurableOptions append = {}) const {
    return Lines(folder.file("a.db"), "lines",
                 {.append = std::move(append),
                  .file = {.busy_timeout = 200ms, .page_size = 1024, .vfs = "power_cut"}});
  }

  Folder folder;
  PowerCutDisk& disk = PowerCutDisk::instance();
};

}  // namespace

TEST_CASE("a full disk: refused at once, what was acknowledged stays, and it goes on with space",
          "[durable][faults]") {
  Disk d;
  auto lines = d.open();
  lines.append("a", synced).get();
  d.disk.limit_files(64'000);
  const std::string large(100'000, 'x');
  CHECK_THROWS_WITH(lines.append(large, synced).get(),
                    Catch::Contains(d.folder.file("a.db")) && Catch::Contains("no space left"));
  CHECK(lines.stored().pending == 1);
  CHECK(lines.append(large) == microbatch::AppendResult::accepted);  // it waits
  d.disk.limit_files(10'000'000);
  lines.flush();
  CHECK(lines.stored().pending == 2);
  lines.append("b", synced).get();
  CHECK(lines.stored().pending == 3);
}

TEST_CASE("I/O errors: receipts and consumer say so, and work goes on when the disk does",
          "[durable][faults]") {
  Disk d;
  auto lines = d.open();
  std::promise<std::string> told;
  std::atomic<int> errors{0};
  Delivered seen;
  auto consumer = consume(
      lines, 1, [&](auto& window) { seen.add(window); },
      {.on_failure = quick_retries(), .on_error = [&](const microbatch::BackgroundError& error) {
         if (errors++ == 0) told.set_value(error.text);
       }});
  lines.append("a", synced).get();
  consumer.flush();
  d.disk.set_bad(true);
  CHECK_THROWS_WITH(lines.append("told", synced).get(),
                    Catch::Contains(d.folder.file("a.db")) && Catch::Contains("I/O error"));
  CHECK(lines.append("queued") == microbatch::AppendResult::accepted);
  lines.storage().wake(microbatch::Bell::appended);  // the consumer looks, and cannot read
  CHECK_THAT(told.get_future().get(),
             Catch::Contains(d.folder.file("a.db")) && Catch::Contains("I/O error"));
  d.disk.set_bad(false);
  lines.flush();
  lines.append("b", synced).get();
  consumer.flush();
  CHECK(seen.items() == Strings{"a", "queued", "b"});
}

TEST_CASE("an fsync that fails: the receipt says unknown, and nothing is synced again",
          "[durable][faults]") {
  // A large one is synced by another thread than the one that writes it.
  const std::string next = GENERATE(std::string("b"), std::string(20'000, 'b'));
  Disk d;
  {
    auto lines = d.open();
    lines.append("a", synced).get();
    d.disk.fail_next_sync();
    CHECK_THROWS_WITH(lines.append(next, synced).get(),
                      Catch::Contains("fsync failed") && Catch::Contains("unknown"));
    const std::uint64_t syncs = d.disk.syncs();
    CHECK_THROWS_WITH(lines.append("c", synced).get(), Catch::Contains("fsync failed"));
    CHECK(d.disk.syncs() == syncs);
    CHECK(lines.append("queued") == microbatch::AppendResult::accepted);
    CHECK(lines.close(10s).unwritten == Strings{"queued"});
  }
  d.disk.cut_now();
  d.disk.reboot([] { return false; });
  auto lines = d.open();
  Delivered seen;
  auto consumer = consume(lines, 1, [&](auto& window) { seen.add(window); });
  lines.append("d", synced).get();
  consumer.flush();
  // `unknown`: a large one was in the log already, and the end of the stream has copied that.
  CHECK_THAT(seen.items(),
             Catch::Equals(Strings{"a", "d"}) ||
                 Catch::Equals(next.size() == 1 ? Strings{"a", "d"} : Strings{"a", next, "d"}));
}

TEST_CASE("an fsync that fails takes along what is synced behind it meanwhile",
          "[durable][faults]") {
  Disk d;
  {
    auto lines = d.open();
    lines.append("a", synced).get();
    std::promise<void> fail;
    d.disk.fail_next_sync(fail.get_future().share());
    const std::uint64_t syncs = d.disk.syncs();
    auto large = lines.append(std::string(20'000, 'b'), synced);
    d.disk.wait_for_syncs(syncs + 1);  // under way
    auto small = lines.append("c", synced);
    d.disk.wait_for_syncs(syncs + 2);  // it waits for what is being written back
    fail.set_value();
    CHECK_THROWS_WITH(large.get(), Catch::Contains("fsync failed"));
    CHECK_THROWS_WITH(small.get(), Catch::Contains("fsync failed"));
  }
}

TEST_CASE("an fsync that fails in a checkpoint is told: what is synced later stands behind it",
          "[durable][faults]") {
  Disk d;
  Lines lines(d.folder.file("a.db"), "lines",
              {.file = {.busy_timeout = 200ms,
                        .checkpoint_bytes = 100'000,  // more than is written to make the file
                        .page_size = 1024,
                        .vfs = "power_cut"}});
  lines.append("a", synced).get();
  d.disk.fail_next_sync();  // the checkpoint's: the commit has none of its own
  const Strings many(10, std::string(15'000, 'b'));
  CHECK_THROWS_WITH(lines.append_range(many, microbatch::written).get(),
                    Catch::Contains("fsync failed"));
  CHECK_THROWS_WITH(lines.append("c", synced).get(), Catch::Contains("fsync failed"));
}

TEST_CASE("a commit on a full disk is repeated until there is space, and takes effect once",
          "[durable][faults]") {
  Disk d;
  auto database = std::make_shared<microbatch::sqlite::Database>(
      d.folder.file("a.db"), microbatch::sqlite::FileOptions{
                                 .busy_timeout = 200ms, .page_size = 1024, .vfs = "power_cut"});
  database->execute("CREATE TABLE results(x TEXT)");
  Lines lines(database, "lines");
  lines.append("a", synced).get();
  std::atomic<int> calls{0};
  auto consumer = consume(lines, 1,
                          [&](microbatch::sqlite::Window<std::string>& window) {
                            d.disk.limit_files(++calls < 3 ? 64'000 : 10'000'000);
                            window.transaction().execute("INSERT INTO results VALUES (?)",
                                                         std::string(100'000, 'x'));
                          },
                          {.on_failure = quick_retries()});
  consumer.flush();
  CHECK(calls == 3);
  microbatch::sqlite::Transaction one;
  one.execute("SELECT CASE (SELECT count(*) FROM results) WHEN 1 THEN 1 ELSE json('wrong') END");
  CHECK_NOTHROW(database->execute(one));
  CHECK(lines.stored().dead_lettered == 0);
}
