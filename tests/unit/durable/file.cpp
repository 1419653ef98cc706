// What an SQLite file may be, and what a user is told when it is not that.

#include <sqlite3.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <future>
#include <map>
#include <random>

#include <microbatch/durable/batch_body.hpp>
#include <microbatch/durable/checksum.hpp>

#include "worlds.hpp"

using namespace test;
using microbatch::StatementError;
using microbatch::StorageError;
using microbatch::synced;
using microbatch::written;
using microbatch::sqlite::Database;
using Lines = microbatch::sqlite::DurableStream<std::string>;

namespace {

/// Runs SQL as a stranger would; the first column of the first row.
std::string sql(const std::string& path, const std::string& text) {
  sqlite3* db = nullptr;
  REQUIRE(sqlite3_open(path.c_str(), &db) == SQLITE_OK);
  std::string result;
  char* error = nullptr;
  const int code = sqlite3_exec(
      db, text.c_str(),
      [](void* out, int n, char** values, char**) {
        if (n > 0 && values[0] != nullptr && static_cast<std::string*>(out)->empty())
          *static_cast<std::string*>(out) = values[0];
        return 0;
      },
      &result, &error);
  INFO((error != nullptr ? error : ""));
  CHECK(code == SQLITE_OK);
  sqlite3_free(error);
  sqlite3_close(db);
  return result;
}

/// All that is pending, as a consumer would load it: to the end, or to an error.
Strings read_all(const std::string& path) {
  Lines lines(path, "lines");
  Strings found;
  std::int64_t next = 0;
  for (std::vector<microbatch::StoredBatch> batches;; batches.clear()) {
    lines.storage().load(next, ~std::size_t{0}, batches);
    if (batches.empty()) return found;
    for (const auto& batch : batches) {
      const microbatch::detail::BatchBody body(batch.body, batch.items);
      for (std::uint32_t i = 0; i < batch.items; ++i) found.emplace_back(body[i]);
    }
    next = batches.back().number + 1;
  }
}

}  // namespace

TEST_CASE("files are created for their owner alone, unless asked otherwise", "[durable][file]") {
  const Folder folder;
  const auto mode_of = [](const std::string& path) {
    struct stat status {};
    REQUIRE(stat(path.c_str(), &status) == 0);
    return status.st_mode & 0777U;
  };
  Lines lines(folder.file("a.db"), "lines");
  lines.append("a", synced).get();
  for (const char* suffix : {"", "-wal", "-shm", "-lock"})
    CHECK(mode_of(folder.file("a.db") + suffix) == 0600);
  const Lines shared(folder.file("b.db"), "lines", {.file = {.mode = 0640}});
  CHECK(mode_of(folder.file("b.db")) == 0640);
}

TEST_CASE("a path that is no file of ours: the error names it and the cause", "[durable][file]") {
  const Folder folder;
  const std::string path = folder.file("x.db");
  const auto error_of = [&](const std::string& p) -> std::string {
    try {
      const Lines lines(p, "lines");
      return "";
    } catch (const std::exception& e) {
      return e.what();
    }
  };
  using Catch::Contains;
  SECTION("a folder") {
    std::filesystem::create_directory(path);
    CHECK_THAT(error_of(path), Contains(path) && Contains("folder"));
  }
  SECTION("a symbolic link") {
    std::filesystem::create_symlink(folder.file("other.db"), path);
    CHECK_THAT(error_of(path), Contains(path) && Contains("symbolic link"));
  }
  SECTION("no database") {
    std::ofstream(path) << std::string(10'000, 'z');
    CHECK_THAT(error_of(path), Contains(path) && Contains("not a database"));
  }
  SECTION("a newer schema") {
    { const Lines lines(path, "lines"); }
    sql(path, "UPDATE microbatch_meta SET value = 7 WHERE key = 'schema'");
    CHECK_THAT(error_of(path), Contains(path) && Contains("version 7") && Contains("newer"));
  }
  SECTION("a folder that is not there") {
    CHECK_THAT(error_of(folder.file("no/x.db")), Contains("no/x.db") && Contains("No such file"));
  }
  SECTION("an empty path, a null byte") {
    CHECK_THAT(error_of(""), Contains("empty"));
    CHECK_THAT(error_of(std::string("a\0b", 3)), Contains("null byte"));
  }
}

TEST_CASE("stream names: quotes and slashes are names, too long ones are refused",
          "[durable][file]") {
  const Folder folder;
  auto database = std::make_shared<Database>(folder.file("a.db"));
  for (const char* name : {"it's \"q\"; DROP TABLE microbatch_batches;--", "../../etc/passwd",
                           "a\nb", "\xF0\x9F\x9A\xA2", "%", "_"}) {
    Lines lines(database, name);
    lines.append(name, synced).get();
  }
  CHECK(database->streams().size() == 6);
  for (const auto& stream : database->streams()) CHECK(stream.counts.pending == 1);
  CHECK_THROWS_AS(Lines(database, std::string(1U << 20, 'n')), microbatch::ConfigError);
  CHECK_THROWS_AS(Lines(database, ""), microbatch::ConfigError);
  CHECK_THROWS_AS(Lines(database, std::string("a\0b", 3)), microbatch::ConfigError);
}

TEST_CASE("a stream is opened only with the codec that wrote it", "[durable][file]") {
  const Folder folder;
  const std::string path = folder.file("a.db");
  { const Lines lines(path, "s"); }
  CHECK_THROWS_WITH((microbatch::sqlite::DurableStream<int>(path, "s")),
                    Catch::Contains("'text' version 1") && Catch::Contains("trivial:4"));
  { const microbatch::sqlite::DurableStream<int> numbers(path, "n"); }
  CHECK_THROWS_WITH(
      (microbatch::sqlite::DurableStream<int, microbatch::TrivialCodec<int, 2>>(path, "n")),
      Catch::Contains("version 2"));
}

TEST_CASE("statements of a transaction: what is refused, and what it leaves", "[durable][file]") {
  const Folder folder;
  Database database(folder.file("a.db"));
  database.execute("CREATE TABLE t(x INTEGER UNIQUE)");
  const auto run = [&](const std::string& text) {
    microbatch::sqlite::Transaction transaction;
    transaction.execute("INSERT INTO t VALUES (1)");
    transaction.execute(text);
    database.execute(transaction);
  };
  for (const char* text :
       {"COMMIT", "BEGIN", "ATTACH 'x' AS y", "PRAGMA synchronous = OFF", "SAVEPOINT s",
        "DELETE FROM microbatch_streams", "UPDATE microbatch_batches SET items = 0",
        "INSERT INTO microbatch_meta VALUES (1, 2)", "DROP TABLE microbatch_progress",
        "INSERT INTO t VALUES (1)", "INSERT INTO t VALUES (?)", "SELECT 1; SELECT 2", "nonsense",
        ""}) {
    CAPTURE(text);
    CHECK_THROWS_AS(run(text), StatementError);
  }
  CHECK(sql(folder.file("a.db"), "SELECT count(*) FROM t") == "0");
  run("INSERT INTO t VALUES (2)");
  CHECK(sql(folder.file("a.db"), "SELECT count(*) FROM t") == "2");
}

TEST_CASE("a statement that fails is the window's failure, and isolates the item",
          "[durable][file]") {
  const Folder folder;
  auto database = std::make_shared<Database>(folder.file("a.db"));
  database->execute("CREATE TABLE t(x TEXT CHECK (x <> 'bad'))");
  Lines lines(database, "lines");
  auto consumer = consume(lines, 4,
                          [](microbatch::sqlite::Window<std::string>& window) {
                            for (const auto& line : window)
                              window.transaction().execute("INSERT INTO t VALUES (?)", line);
                          },
                          {.on_failure = {.max_attempts = 1,
                                          .first_delay = 1ms,
                                          .max_delay = 1ms,
                                          .isolate = microbatch::Isolate::always}});
  lines.append_range(Strings{"a", "bad", "b", "c"}, synced).get();
  consumer.flush();
  CHECK(sql(folder.file("a.db"), "SELECT group_concat(x, '') FROM (SELECT x FROM t ORDER BY x)") ==
        "abc");
  REQUIRE(lines.stored().dead_letters == 1);
  CHECK_THAT(lines.storage().dead_letters(0, 1)[0].error, Catch::Contains("CHECK constraint"));
}

TEST_CASE("the view shows text items one by one, and which of them are pending",
          "[durable][file]") {
  const Folder folder;
  const std::string path = folder.file("a.db");
  Lines lines(path, "it's");
  std::vector<std::uint32_t> ends;  // of items of 0, 1, 2 ... bytes, in one batch
  for (std::uint32_t i = 0; i < 300; ++i) ends.push_back(i == 0 ? 0 : ends.back() + i);
  std::string body;
  microbatch::detail::BatchBody::write(ends, std::string(ends.back(), 'x'), body);
  const microbatch::NewBatch batch{.items = 300, .body = body};
  REQUIRE(lines.storage().append({&batch, 1}, microbatch::Safety::written) == 1);
  const std::string where = " FROM microbatch_items WHERE stream = 'it''s'";
  CHECK(sql(path, "SELECT count(*)" + where) == "300");
  CHECK(sql(path, "SELECT count(*)" + where + " AND pending") == "300");
  CHECK(sql(path, "SELECT sum(length(item))" + where) == std::to_string(299 * 300 / 2));
  CHECK(sql(path, "SELECT count(*)" + where + " AND length(item) = position % 1048576") == "300");
  auto lease = lines.storage().acquire("test", 10s);
  REQUIRE(lease);
  microbatch::sqlite::Transaction none;
  const microbatch::ItemRun run{.batch = 1, .begin = 9, .end = 21};
  lines.storage().settle(lease->token, {&run, 1}, none, microbatch::Safety::written);
  CHECK(sql(path, "SELECT count(*)" + where + " AND pending") == "288");
  CHECK(sql(path, "SELECT min(length(item)) || ' ' || max(length(item))" + where +
                      " AND NOT pending") == "9 20");
}

TEST_CASE("the view shows the items of a JSON codec, for SQL to look into", "[durable][file]") {
  struct Json {
    [[nodiscard]] static std::string_view name() { return "json"; }
    [[nodiscard]] static std::uint32_t version() { return 1; }
    static void encode(int n, std::string& out) { out += "{\"n\":" + std::to_string(n) + "}"; }
    [[nodiscard]] static int decode(std::string_view bytes) {
      return std::stoi(std::string(bytes.substr(5)));
    }
  };
  const Folder folder;
  const std::string path = folder.file("a.db");
  microbatch::sqlite::DurableStream<int, Json> numbers(path, "numbers");
  numbers.append_range(std::vector<int>{1, 20, 300}, synced).get();
  CHECK(sql(path, "SELECT group_concat(item, ' ') FROM microbatch_items") ==
        R"({"n":1} {"n":20} {"n":300})");
  CHECK(sql(path, "SELECT sum(json_extract(item, '$.n')) FROM microbatch_items WHERE pending") ==
        "321");
}

TEST_CASE("a flipped bit is found, never served in silence", "[durable][file]") {
  const Folder folder;
  const std::string path = folder.file("a.db");
  Strings all;
  for (int i = 0; i < 400; ++i) all.push_back("item number " + std::to_string(i));
  {
    Lines lines(path, "lines", {.append = {.group_items = 40}});
    lines.append_range(all, synced).get();
  }
  REQUIRE(sql(path, "PRAGMA wal_checkpoint(TRUNCATE)") == "0");
  std::string clean;
  {
    std::ifstream file(path, std::ios::binary);
    clean.assign(std::istreambuf_iterator<char>(file), {});
  }
  std::map<std::string, int> outcomes;
  for (std::size_t at = 100; at < clean.size(); at += 512) {
    for (const char* suffix : {"-wal", "-shm"}) std::filesystem::remove(path + suffix);
    std::string damaged = clean;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x10);
    {
      std::ofstream file(path, std::ios::binary | std::ios::trunc);
      file << damaged;
    }
    try {
      const Strings found = read_all(path);
      CAPTURE(at);
      CHECK(found == all);
      ++outcomes["harmless"];
    } catch (const StorageError& error) {
      CHECK_THAT(error.what(), Catch::Contains(path));
      ++outcomes["found"];
    }
  }
  CHECK(outcomes["found"] > 5);
}

TEST_CASE("a file that was cut short is found, or has lost nothing", "[durable][file]") {
  const Strings all(500, std::string(100, 'x'));
  int whole = 0;
  const Folder folder;
  const std::string path = folder.file("a.db");
  {
    Lines lines(path, "lines");
    lines.append_range(all, synced).get();
  }
  REQUIRE(sql(path, "PRAGMA wal_checkpoint(TRUNCATE)") == "0");
  const auto full = std::filesystem::file_size(path);
  for (auto size = full - 512; size > 9 * 512; size -= 8 * 512) {
    for (const char* suffix : {"-wal", "-shm"}) std::filesystem::remove(path + suffix);
    std::filesystem::resize_file(path, size);
    CAPTURE(size);
    try {
      const Strings found = read_all(path);
      CHECK(found.size() == all.size());
      ++whole;
    } catch (const StorageError& error) {
      CHECK_THAT(error.what(), Catch::Contains(path));
    }
  }
  CHECK(whole <= 1);  // the end of the last page may be empty
}

TEST_CASE("another program holds the lock for a while: receipts tell, and work goes on",
          "[durable][file]") {
  const Folder folder;
  const std::string path = folder.file("a.db");
  Lines lines(path, "lines", {.file = {.busy_timeout = 50ms}});
  lines.append("before", synced).get();
  sqlite3* other = nullptr;
  REQUIRE(sqlite3_open(path.c_str(), &other) == SQLITE_OK);
  REQUIRE(sqlite3_exec(other, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr) == SQLITE_OK);
  CHECK_THROWS_WITH(lines.append("told", synced).get(),
                    Catch::Contains(path) && Catch::Contains("holds a lock"));
  CHECK(lines.append("queued") == microbatch::AppendResult::accepted);
  REQUIRE(sqlite3_exec(other, "COMMIT", nullptr, nullptr, nullptr) == SQLITE_OK);
  sqlite3_close(other);
  lines.flush();
  CHECK(lines.stored().pending == 2);
}

TEST_CASE("another program holds the lock for a second: append and commit wait for it",
          "[durable][file]") {
  const Folder folder;
  const std::string path = folder.file("a.db");
  auto database = std::make_shared<Database>(path);
  database->execute("CREATE TABLE results(x TEXT)");
  Lines lines(database, "lines");
  std::promise<void> inside;
  std::promise<void> go_on;
  auto consumer = consume(lines, 1, [&](microbatch::sqlite::Window<std::string>& window) {
    if (window[0] == "a") {
      inside.set_value();
      go_on.get_future().wait();
    }
    window.transaction().execute("INSERT INTO results VALUES (?)", window[0]);
  });
  lines.append("a", synced).get();
  inside.get_future().wait();
  sqlite3* other = nullptr;
  REQUIRE(sqlite3_open(path.c_str(), &other) == SQLITE_OK);
  REQUIRE(sqlite3_exec(other, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr) == SQLITE_OK);
  go_on.set_value();
  const auto receipt = lines.append("b", synced);
  CHECK(receipt.wait_for(1s) == std::future_status::timeout);  // FileOptions::busy_timeout is 5 s
  REQUIRE(sqlite3_exec(other, "COMMIT", nullptr, nullptr, nullptr) == SQLITE_OK);
  sqlite3_close(other);
  CHECK_NOTHROW(receipt.get());
  consumer.flush();
  CHECK(sql(path, "SELECT group_concat(x, '') FROM results") == "ab");
}

TEST_CASE("a slow callback with a transaction does not keep others from writing",
          "[durable][file]") {
  const Folder folder;
  auto database = std::make_shared<Database>(folder.file("a.db"),
                                             microbatch::sqlite::FileOptions{.busy_timeout = 1s});
  database->execute("CREATE TABLE results(x TEXT)");
  Lines lines(database, "lines");
  std::promise<void> inside;
  std::promise<void> go_on;
  auto consumer = consume(lines, 1, [&](microbatch::sqlite::Window<std::string>& window) {
    window.transaction().execute("INSERT INTO results VALUES (?)", window[0]);
    if (window[0] == "a") {
      inside.set_value();
      go_on.get_future().wait();
    }
  });
  lines.append("a", synced).get();
  inside.get_future().wait();
  CHECK_NOTHROW(lines.append("b", synced).get());
  Lines others(folder.file("a.db"), "others", {.file = {.busy_timeout = 1s}});
  CHECK_NOTHROW(others.append("c", synced).get());
  CHECK(sql(folder.file("a.db"), "SELECT count(*) FROM results") == "0");
  go_on.set_value();
  consumer.flush();
  CHECK(sql(folder.file("a.db"), "SELECT count(*) FROM results") == "2");
}

TEST_CASE("a file tells of each of its streams: made when, read when, how many items",
          "[durable][file]") {
  const Folder folder;
  auto database = std::make_shared<Database>(folder.file("a.db"));
  Lines read(database, "read");
  Lines unread(database, "unread");
  read.append_range(Strings{"a", "b"}, synced).get();
  unread.append_range(Strings{"a", "b", "c"}, synced).get();
  {
    auto consumer = consume(read, 1, [](auto&) {});
    consumer.flush();
  }
  const auto found = database->streams();
  REQUIRE(found.size() == 2);
  CHECK(found[0].name == "read");
  CHECK(found[0].codec == "text");
  CHECK(found[0].created_at > 1'600'000'000'000'000'000);
  CHECK(found[0].read_at >= found[0].created_at);
  CHECK(found[0].counts.delivered == 2);
  CHECK(found[0].counts.pending == 0);
  CHECK(found[1].name == "unread");
  CHECK(found[1].read_at == 0);
  CHECK(found[1].counts.pending == 3);
}

TEST_CASE("what was opened before a fork is refused in the child", "[durable][file]") {
  const Folder folder;
  Lines lines(folder.file("a.db"), "lines");
  lines.append("a", synced).get();
  const pid_t child = fork();
  if (child == 0) {
    int code = 1;
    try {
      (void)lines.stored();
    } catch (const StorageError&) {
      code = 0;
    } catch (...) {
    }
    _exit(code);
  }
  int status = 0;
  waitpid(child, &status, 0);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
  lines.append("b", synced).get();
  CHECK(lines.stored().pending == 2);
}

TEST_CASE("after ten fills and drains a file is at most twice its first high-water mark",
          "[durable][file]") {
  const Folder folder;
  const std::string path = folder.file("a.db");
  const auto size = [&] {
    return std::filesystem::file_size(path) + std::filesystem::file_size(path + "-wal");
  };
  Lines lines(path, "lines", {.file = {.checkpoint_bytes = 1U << 20}});
  const Strings some(20'000, std::string(100, 'x'));
  std::uintmax_t first = 0;
  for (int fill = 0; fill < 10; ++fill) {
    lines.append_range(some, synced).get();
    if (fill == 0) first = size();
    {
      auto consumer = consume(lines, 1000, [](auto&) {});
      consumer.flush();
    }
    CHECK(lines.stored().pending == 0);
    first = std::max(first, fill == 0 ? size() : 0);
  }
  CHECK(size() <= 2 * first);
}

TEST_CASE("a checksum is that of the XXH64 specification", "[durable]") {
  using microbatch::detail::Checksum;
  CHECK(Checksum::of("") == 0xEF46DB3751D8E999);
  CHECK(Checksum::of("abc") == 0x44BC2CF5AD770999);
  CHECK(Checksum::of("Nobody inspects the spammish repetition") == 0xFBCEA83C8A378BF1);
}

TEST_CASE("a batch's body that was not written by us is refused", "[durable]") {
  using microbatch::detail::BatchBody;
  std::string body;
  BatchBody::write({1, 1, 4}, "abcd", body);
  const BatchBody good(body, 3);
  CHECK(good[0] == "a");
  CHECK(good[1].empty());
  CHECK(good[2] == "bcd");
  CHECK_THROWS_AS(BatchBody(body, 4), StorageError);
  CHECK_THROWS_AS(BatchBody(body, 2), StorageError);
  CHECK_THROWS_AS(BatchBody(body, ~0U), StorageError);
  body.pop_back();
  CHECK_THROWS_AS(BatchBody(body, 3), StorageError);
  CHECK_THROWS_AS(BatchBody("", 1), StorageError);
  CHECK(BatchBody("", 0).items() == 0);
}
