// A shop takes orders in one process; another process books them. Both are killed again and again,
// and in the end each order that was acknowledged is booked, once.
//
//   12_durable_json_orders                      starts both, kills them, and looks at the books
//   12_durable_json_orders FILE take FROM TO    takes the orders FROM to TO
//   12_durable_json_orders FILE book [all]      books orders until it is killed (or all there are)
//
// Kill the processes as you like, and look into the file meanwhile:
//
//   13_durable_inspector FILE
//   sqlite3 -readonly FILE "SELECT * FROM microbatch_items LIMIT 5"

#include <fmt/format.h>
#include <sqlite3.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <microbatch/emitters/combine.hpp>
#include <microbatch/emitters/count_window.hpp>
#include <microbatch/emitters/max_age_window.hpp>
#include <microbatch/sqlite/durable_stream.hpp>
#include <string>
#include <thread>
#include <vector>

#include "order.hpp"

namespace {

using namespace std::chrono_literals;
using Orders = microbatch::sqlite::DurableStream<shop::Order, shop::OrderCodec>;

/// Says after each order that it is safe; a customer would get a receipt then.
int take(const std::string& file, std::int64_t from, std::int64_t to) {
  Orders orders(file, "orders");
  for (std::int64_t id = from; id <= to; ++id) {
    const shop::Order order{.id = id, .customer = id % 3 == 0 ? "Ada" : "Bo", .cents = 100 + id};
    orders.append(order, microbatch::synced).get();
    fmt::print("{}\n", id);
    std::fflush(stdout);
  }
  return 0;
}

int book(const std::string& file, bool all) {
  auto database = std::make_shared<microbatch::sqlite::Database>(file);
  database->execute(
      "CREATE TABLE IF NOT EXISTS bookings(id INTEGER, customer TEXT, cents INTEGER)");
  Orders orders(database, "orders");
  auto consumer = microbatch::streaming(
      orders, microbatch::any_of(microbatch::CountWindow{50}, microbatch::MaxAgeWindow{5ms}),
      [](microbatch::sqlite::Window<shop::Order>& window) {
        for (const auto& order : window)  // they are booked together with the window's commit
          window.transaction().execute("INSERT INTO bookings VALUES (?, ?, ?)", order.id,
                                       order.customer, order.cents);
      },
      {}, {.lease = 500ms});  // so long a dead bookkeeper keeps others away
  if (all)
    consumer.flush();
  else
    for (;;) pause();
  return 0;
}

/// Another process of this program; its output goes to `out`, or nowhere.
pid_t start(const std::vector<std::string>& arguments, int out) {
  const pid_t child = fork();
  if (child != 0) return child;
  if (out >= 0) dup2(out, STDOUT_FILENO);
  std::vector<char*> argv{const_cast<char*>("orders")};
  for (const auto& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  execv("/proc/self/exe", argv.data());
  _exit(127);
}

int end(pid_t child, bool by_force) {
  if (by_force) kill(child, SIGKILL);
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

std::int64_t number(const std::string& file, const char* sql) {
  sqlite3* db = nullptr;
  sqlite3_stmt* query = nullptr;
  sqlite3_open(file.c_str(), &db);
  sqlite3_prepare_v2(db, sql, -1, &query, nullptr);
  const std::int64_t n = sqlite3_step(query) == SQLITE_ROW ? sqlite3_column_int64(query, 0) : -1;
  sqlite3_finalize(query);
  sqlite3_close(db);
  return n;
}

int demonstrate() {
  const std::string file = "orders.db";
  for (const char* suffix : {"", "-wal", "-shm", "-lock"}) std::filesystem::remove(file + suffix);
  std::int64_t acknowledged = 0;
  std::int64_t next = 1;
  for (int round = 1; round <= 5; ++round) {
    int pipe_ends[2];
    if (pipe(pipe_ends) != 0) return 2;
    const pid_t bookkeeper = start({file, "book"}, -1);
    const pid_t till =
        start({file, "take", std::to_string(next), std::to_string(next + 99'999)}, pipe_ends[1]);
    close(pipe_ends[1]);
    std::this_thread::sleep_for(100ms + round * 30ms);
    end(bookkeeper, true);
    end(till, true);
    // What the customers were told. The till may have been cut off in the middle of a number.
    std::string told;
    char buffer[4096];
    for (ssize_t n; (n = read(pipe_ends[0], buffer, sizeof buffer)) > 0;)
      told.append(buffer, static_cast<std::size_t>(n));
    close(pipe_ends[0]);
    std::int64_t in_round = 0;
    for (const char c : told) in_round += c == '\n' ? 1 : 0;
    acknowledged += in_round;
    next += in_round + 1;  // the one that was under way: nobody knows
    fmt::print("round {}: {} orders acknowledged, then both processes killed\n", round, in_round);
  }
  if (end(start({file, "book", "all"}, -1), false) != 0) return 1;
  const std::int64_t booked = number(file, "SELECT count(*) FROM bookings");
  const std::int64_t different = number(file, "SELECT count(DISTINCT id) FROM bookings");
  fmt::print("{} orders acknowledged; {} booked, {} of them different\n", acknowledged, booked,
             different);
  // At most one order a round was under way, and may be booked without an acknowledgement.
  return booked == different && booked >= acknowledged && booked <= acknowledged + 5 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  if (arguments.empty()) return demonstrate();
  if (arguments.size() == 4 && arguments[1] == "take")
    return take(arguments[0], std::stoll(arguments[2]), std::stoll(arguments[3]));
  if (arguments.size() >= 2 && arguments[1] == "book")
    return book(arguments[0], arguments.size() > 2);
  fmt::print(stderr, "usage: see the head of {}\n", __FILE__);
  return 2;
}
