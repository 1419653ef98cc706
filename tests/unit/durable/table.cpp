#include <microbatch/sqlite/table.hpp>

#include <map>
#include <stdexcept>
#include <string>

#include "worlds.hpp"

using namespace microbatch;
using namespace std::chrono_literals;

namespace {

struct Point {
  int x = 0;
  int y = 0;
  bool operator==(const Point&) const = default;
};

struct File {
  test::Folder folder;
  std::shared_ptr<sqlite::Database> database = open();

  [[nodiscard]] std::shared_ptr<sqlite::Database> open() const {
    return std::make_shared<sqlite::Database>(folder.file("test.db"));
  }
};

/// A window's part in a table, without a stream around it.
struct FakeWindow {
  sqlite::Transaction own;
  sqlite::Transaction& transaction() { return own; }
};

}  // namespace

TEST_CASE("sqlite::Table: what was put is there after a restart", "[durable][table]") {
  File file;
  {
    sqlite::Table<std::string, double> prices(file.database, "prices");
    prices.put("boat", 3.5);
    prices.update("boat", [](double& price) { price *= 2; });
    prices.put("oar", 1);
    prices.erase("oar");
    CHECK(prices.size() == 1);
  }
  file.database = file.open();
  sqlite::Table<std::string, double> prices(file.database, "prices");
  CHECK(prices.get("boat") == 7.0);
  CHECK_FALSE(prices.get("oar"));
  CHECK(prices.snapshot() == std::vector<std::pair<std::string, double>>{{"boat", 7.0}});
  prices.clear();
  CHECK(prices.size() == 0);
}

TEST_CASE("sqlite::Table: keys and values of every kind come back as they were",
          "[durable][table]") {
  File file;
  sqlite::Table<std::uint64_t, Point> points(file.database, "points");
  const std::uint64_t last = ~std::uint64_t{0};
  points.put(last, {1, -2});
  points.put(0, {3, 4});
  CHECK(points.get(last) == Point{1, -2});
  CHECK(points.get(0) == Point{3, 4});
  sqlite::Table<std::string, std::string> texts(file.database, "texts");
  const std::string odd("a'b\"\0c", 6);
  texts.put(odd, "");
  CHECK(texts.get(odd) == "");
  CHECK(texts.snapshot().front().first == odd);
  sqlite::Table<int, std::vector<std::byte>> bytes(file.database, "bytes");
  bytes.put(-1, {});
  CHECK(bytes.get(-1).value().empty());
  sqlite::Table<char, float> floats(file.database, "floats");
  floats.put('x', 0.1F);
  CHECK(floats.get('x') == 0.1F);
}

TEST_CASE("sqlite::Table: a window's changes are committed with the window, or not at all",
          "[durable][table]") {
  File file;
  const auto storage = std::make_shared<sqlite::Storage>(
      file.database, "items", sqlite::Storage::StreamSettings{.codec = "text"});
  DurableStream<std::string, sqlite::Storage> stream(storage);
  sqlite::Table<std::string, std::int64_t> words(file.database, "words");
  int failures = 2;
  std::optional<std::int64_t> seen;
  auto consumer = streaming(stream, CountWindow{3}, [&](sqlite::Window<std::string>& window) {
    words.transaction(window, [&](auto& rows) {
      for (const std::string& word : window) ++rows[word];
      CHECK(rows.get("a") >= 1);
    });
    seen = words.get("a");  // what has been committed
    if (failures-- > 0) throw TransientError("not yet");
  });
  for (const char* word : {"a", "b", "a"}) stream.append(std::string(word), synced).get();
  consumer.flush();
  CHECK(failures == -1);
  CHECK_FALSE(seen);
  CHECK(words.get("a") == 2);
  CHECK(words.get("b") == 1);
  CHECK(stream.stored().delivered == 3);
}

TEST_CASE("sqlite::Table: a window that is rejected in part counts what is left of it once",
          "[durable][table]") {
  File file;
  const auto storage = std::make_shared<sqlite::Storage>(
      file.database, "items", sqlite::Storage::StreamSettings{.codec = "text"});
  DurableStream<std::string, sqlite::Storage> stream(storage);
  sqlite::Table<std::string, std::int64_t> words(file.database, "words");
  auto consumer = streaming(stream, CountWindow{4},
                            [&](sqlite::Window<std::string>& window) {
                              words.transaction(window, [&](auto& rows) {
                                for (const std::string& word : window) {
                                  ++rows["all"];
                                  if (word == "poison")
                                    throw std::runtime_error("cannot be counted");
                                }
                              });
                            },
                            {.on_failure = {.max_attempts = 1, .isolate = Isolate::always}});
  for (const char* word : {"a", "poison", "b", "c"}) stream.append(std::string(word), synced).get();
  consumer.flush();
  CHECK(words.get("all") == 3);
  CHECK(stream.stored().dead_lettered == 1);
}

TEST_CASE("sqlite::Table: of two windows that have read the same key, one is refused",
          "[durable][table]") {
  File file;
  sqlite::Table<int, int> table(file.database, "numbers");
  table.put(1, 10);
  FakeWindow first;
  FakeWindow second;
  table.transaction(first, [](auto& rows) { rows[1] += 1; });
  table.transaction(second, [](auto& rows) { rows[1] += 2; });
  file.database->execute(first.own);
  CHECK_THROWS_AS(file.database->execute(second.own), sqlite::TableChanged);
  CHECK(table.get(1) == 11);
  FakeWindow makes;
  FakeWindow makes_too;
  table.transaction(makes, [](auto& rows) { rows[2] = 1; });
  table.transaction(makes_too, [](auto& rows) { rows[2] = 2; });
  file.database->execute(makes.own);
  CHECK_THROWS_AS(file.database->execute(makes_too.own), sqlite::TableChanged);
  CHECK(table.get(2) == 1);
}

TEST_CASE("sqlite::Table: windows beside each other lose no change", "[durable][table]") {
  File file;
  sqlite::DurableStream<int> stream(file.database, "numbers");
  sqlite::Table<int, std::int64_t> sums(file.database, "sums");
  for (int i = 0; i < 200; ++i) (void)stream.append(i % 7);
  ThreadPool pool(2);
  auto consumer = streaming(stream, CountWindow{10},
                            [&](sqlite::Window<int>& window) {
                              sums.transaction(window, [&](auto& rows) {
                                for (const int item : window) ++rows[item];
                              });
                            },
                            {.executor = pool,
                             .max_in_flight = 2,
                             .order = Order::unordered,
                             .on_failure = {.first_delay = 1us, .max_delay = 100us}});
  consumer.flush();
  std::int64_t all = 0;
  for (const auto& [key, n] : sums.snapshot()) all += n;
  CHECK(all == 200);
  CHECK(stream.stored().delivered == 200);
  CHECK(stream.stored().dead_lettered == 0);
}

TEST_CASE("sqlite::Table: a transaction that throws has changed nothing", "[durable][table]") {
  File file;
  sqlite::Table<int, int> table(file.database, "numbers");
  FakeWindow window;
  CHECK_THROWS_AS(table.transaction(window,
                                    [](auto& rows) {
                                      rows[1] = 1;
                                      throw std::runtime_error("no");
                                    }),
                  std::runtime_error);
  CHECK(window.own.statements().empty());
  CHECK_THROWS_AS(table.transaction([](auto& rows) {
    rows[1] = 1;
    throw std::runtime_error("no");
  }),
                  std::runtime_error);
  CHECK(table.size() == 0);
}

TEST_CASE("sqlite::Table: twice in one window is an error that says why", "[durable][table]") {
  File file;
  sqlite::Table<int, int> table(file.database, "numbers");
  FakeWindow window;
  table.transaction(window, [](auto& rows) { rows[1] = 1; });
  CHECK_THROWS_WITH(table.transaction(window, [](auto& rows) { rows[2] = 1; }),
                    Catch::Contains("for the second time in one window"));
  file.database->execute(window.own);
  CHECK(table.size() == 1);
}

TEST_CASE("sqlite::Table: retention by size evicts the keys untouched for longest",
          "[durable][table]") {
  File file;
  sqlite::Table<int, int> table(file.database, "numbers", {.max_keys = 3});
  for (int key = 1; key <= 3; ++key) table.put(key, key);
  table.put(1, 10);  // touched again
  table.put(4, 4);
  CHECK(table.size() == 3);
  CHECK_FALSE(table.get(2));
  CHECK(table.get(1) == 10);
  sqlite::Table<int, int> strict(file.database, "numbers", {.max_keys = 3, .evict = false});
  CHECK_THROWS_AS(strict.put(5, 5), TableFull);
  strict.put(4, 40);
  CHECK(strict.get(4) == 40);
  CHECK(strict.size() == 3);
}

TEST_CASE("sqlite::Table: retention by age, also over a restart", "[durable][table]") {
  File file;
  sqlite::Table<std::string, int> table(file.database, "visits", {.max_age = 1h});
  table.put("old", 1);
  table.put("new", 2);
  file.database->execute("UPDATE visits SET touched = touched - 3600000000000 WHERE key = 'old'");
  file.database = file.open();
  sqlite::Table<std::string, int> again(file.database, "visits", {.max_age = 1h});
  CHECK_FALSE(again.get("old"));
  CHECK(again.snapshot().size() == 1);
  CHECK(again.size() == 2);  // it goes with the next change
  again.update("new", [](int& n) { ++n; });
  CHECK(again.size() == 1);
  again.update("old", [](int& n) { ++n; });
  CHECK(again.get("old") == 1);  // it began anew
}

TEST_CASE("sqlite::Table: bad input is told by name", "[durable][table]") {
  File file;
  using Catch::Contains;
  using Numbers = sqlite::Table<int, int>;
  for (const char* name : {"", "a b", "x'; DROP TABLE y", "microbatch_x", "sqlite_x", "1st"})
    CHECK_THROWS_AS(Numbers(file.database, name), ConfigError);
  CHECK_THROWS_WITH(Numbers(file.database, "t", {.max_keys = 0}), Contains("max_keys"));
  CHECK_THROWS_WITH(Numbers(file.database, "t", {.max_age = 0s}), Contains("max_age"));
  CHECK_THROWS_WITH(Numbers(nullptr, "t"), Contains("database is null"));
  file.database->execute("CREATE TABLE mine(a)");
  CHECK_THROWS_WITH(Numbers(file.database, "mine"), Contains("is there already"));
  Numbers numbers(file.database, "numbers");
  CHECK_THROWS_WITH((sqlite::Table<std::string, int>(file.database, "numbers")),
                    Contains("codecs"));
  file.database->execute("INSERT INTO numbers VALUES (1, 'text', 0, 1)");
  CHECK_THROWS_WITH(numbers.get(1), Contains("another type"));
  CHECK_THROWS_AS(file.database->execute("DROP TRIGGER microbatch_numbers_in"), StatementError);
  CHECK_THROWS_AS(file.database->execute("ALTER TABLE microbatch_tables ADD COLUMN x"),
                  StatementError);
  CHECK_THROWS_AS(file.database->execute("UPDATE microbatch_tables SET keys = 0"), StatementError);
  CHECK_THROWS_AS(
      file.database->execute("CREATE TRIGGER microbatch_mine AFTER INSERT ON mine BEGIN UPDATE "
                             "microbatch_tables SET keys = 0; END"),
      StatementError);
}
