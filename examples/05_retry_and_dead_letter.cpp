// A database that is down for a while loses nothing; a row that it will never take is isolated and
// does not hold up the others.

#include <fmt/format.h>

#include <chrono>
#include <microbatch/microbatch.hpp>
#include <stdexcept>
#include <string>
#include <vector>

using namespace std::chrono_literals;

namespace {

/// Takes all the rows of a call or none of them.
class Database {
 public:
  explicit Database(int calls_until_up) : calls_until_up_(calls_until_up) {}

  void insert(const microbatch::Window<std::string>& rows) {
    fmt::print("  {:<34} {}", fmt::format("{}", rows), fmt::join(rows, " "));
    if (calls_until_up_ > 0) {
      --calls_until_up_;
      fmt::print("  -> down\n");
      throw microbatch::TransientError("connection refused");  // not the rows' fault
    }
    for (const std::string& row : rows) {
      if (row.starts_with('?')) {
        fmt::print("  -> refused\n");
        throw std::invalid_argument("syntax error");  // says that a row is bad, not which
      }
    }
    fmt::print("  -> ok\n");
    rows_.insert(rows_.end(), rows.begin(), rows.end());
  }

  [[nodiscard]] const std::vector<std::string>& rows() const { return rows_; }

 private:
  int calls_until_up_;
  std::vector<std::string> rows_;
};

bool outage() {
  fmt::print("An outage: three calls fail, nothing is lost.\n");
  Database database(3);
  microbatch::Stream<std::string> stream;
  auto consumer = microbatch::streaming(
      stream, microbatch::CountWindow{4},
      [&](microbatch::Window<std::string>& window) { database.insert(window); },
      {.on_failure = {.first_delay = 10ms}});

  for (int i = 1; i <= 8; ++i) stream.append(fmt::format("r{}", i));
  const auto end = consumer.close();
  fmt::print("delivered {}, dead letters {}, retries {}\n\n", end.delivered, end.dead_lettered,
             consumer.stats().retries);
  return database.rows().size() == 8 && end.dead_lettered == 0;
}

bool poison() {
  fmt::print("A poison item: seven rows are delivered, one becomes a dead letter.\n");
  Database database(0);
  std::vector<std::string> dead;
  microbatch::Stream<std::string> stream;
  auto consumer = microbatch::streaming(
      stream, microbatch::CountWindow{8},
      [&](microbatch::Window<std::string>& window) { database.insert(window); },
      {.dead_letters =
           [&](microbatch::DeadLetter<std::string>& letter) {
             fmt::print("  dead letter: {} ({}, after {} attempts)\n", letter.item, letter.error,
                        letter.attempts);
             dead.push_back(letter.item);
           },
       .on_failure = {.max_attempts = 1, .first_delay = 10ms}});

  for (const char* row : {"r1", "r2", "r3", "r4", "r5", "?!", "r7", "r8"}) stream.append(row);
  const auto end = consumer.close();
  fmt::print("delivered {}, dead letters {}\n", end.delivered, end.dead_lettered);
  return database.rows().size() == 7 && dead == std::vector<std::string>{"?!"} &&
         consumer.stats().balances();
}

}  // namespace

int main() {
  const bool nothing_lost = outage();
  const bool isolated = poison();
  return nothing_lost && isolated ? 0 : 1;
}
