// The main job, on real input: several threads read and parse lines, and each window of them is
// written into an SQLite table in one transaction. --help tells the options.

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <exception>
#include <fstream>
#include <future>
#include <microbatch/microbatch.hpp>
#include <optional>
#include <string>
#include <vector>

#include "database.hpp"
#include "input.hpp"
#include "line.hpp"
#include "options.hpp"
#include "report.hpp"

using namespace std::chrono_literals;
using Steady = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;

namespace lines {
namespace {

/// One line per dead letter: offset, attempts, error, and the line as it was.
class DeadLetterFile {
 public:
  explicit DeadLetterFile(const std::string& path) : file_(path, std::ios::binary) {
    if (!file_) throw std::runtime_error(path + ": cannot be written");
    file_.exceptions(std::ios::badbit | std::ios::failbit);
  }
  void write(const microbatch::DeadLetter<Line>& letter) {
    file_ << fmt::format("{}\t{}\t{}\t", letter.item.offset, letter.attempts, letter.error)
          << letter.item.text << '\n'
          << std::flush;
  }

 private:
  std::ofstream file_;
};

/// Appends what is left of the input, line by line; run by several threads at once.
void produce(Input& input, microbatch::Stream<Line>& stream) {
  auto producer = stream.producer();
  while (std::optional<Block> block = input.next()) {
    std::string_view rest = block->text;
    while (!rest.empty()) {
      const auto at = static_cast<std::int64_t>(block->text.size() - rest.size());
      const std::size_t end = std::min(rest.find('\n'), rest.size());
      Line line = parse(block->offset + at, rest.substr(0, end));
      if (block->is_piece) line.error = "a piece of a line longer than 1 MiB";
      rest.remove_prefix(std::min(end + 1, rest.size()));
      line.appended_at = Steady::now();
      producer.append(std::move(line));
    }
  }
}

/// Rows per second when each one is a transaction of its own.
double one_by_one(Connection& from, const std::string& path) {
  constexpr std::int64_t most_rows = 5'000;
  const std::vector<Line> rows = from.first(most_rows);
  remove_database(path);
  std::size_t inserted = 0;
  Seconds took{};
  {
    Connection to(path);
    for (const auto start = Steady::now(); inserted < rows.size() && took < 3s;
         took = Steady::now() - start)
      to.insert(rows[inserted++]);
  }
  remove_database(path);
  return took > 0s ? static_cast<double>(inserted) / took.count() : 0;
}

int run(const Options& options) {
  using namespace microbatch;

  const std::string path = options.database.empty() ? "lines.db" : options.database;
  if (options.database.empty()) remove_database(path);

  const Interrupt interrupt;
  Input input(options.input, interrupt);
  fmt::print("{} -> {}\n", input.name(), path);
  (void)std::fflush(stdout);
  Connection observer(path);
  const std::int64_t rows_before = observer.number("SELECT count(*) FROM lines");
  Database database(path, options.workers);
  DeadLetterFile dead_letters(options.dead_letters);
  Latencies latencies;
  Warnings warnings;

  const auto write = [&](Window<Line>& window) {
    for (std::size_t i = 0; i < window.size(); ++i)
      if (window[i].error != nullptr) window.reject(i, window[i].error);
    database.insert(window);
    latencies.record([&, now = Steady::now()](auto add) {
      for (const Line& line : window) add(now - line.appended_at);
    });
  };

  ThreadPool pool(options.workers);
  Stream<Line> stream(
      {.name = "lines", .capacity = std::max<std::size_t>(65'536, 4 * options.window)});
  auto consumer =
      streaming(stream, any_of(CountWindow{options.window}, MaxAgeWindow{options.age}), write,
                {.executor = pool,
                 .order = Order::unordered,
                 .dead_letters = [&](DeadLetter<Line>& letter) { dead_letters.write(letter); },
                 .on_failure = {.max_transient_attempts = FailurePolicy::unbounded,
                                .first_delay = 5ms,
                                .max_delay = 1s},
                 .on_error = [&](const BackgroundError& error) { warnings.warn(error.text); }});

  const auto start = Steady::now();
  std::exception_ptr input_error;
  {
    const Progress progress([&] { return consumer.stats(); },
                            [&] { return interrupt.requested(); });
    std::vector<std::future<void>> producers;
    for (std::size_t i = 0; i < options.producers; ++i)
      producers.push_back(std::async(std::launch::async, [&] { produce(input, stream); }));
    for (auto& producer : producers) {
      try {
        producer.get();
      } catch (...) {
        input_error = std::current_exception();
      }
    }
    consumer.close();
  }
  const Seconds took = Steady::now() - start;
  const Stats stats = consumer.stats();
  const double rate = static_cast<double>(stats.settled()) / took.count();
  const std::int64_t rows = observer.number("SELECT count(*) FROM lines");

  if (interrupt.requested()) fmt::print("interrupted: what had been read is written\n");
  fmt::print("  lines         {} in {:.2f} s: {} per second\n", grouped(stats.settled()),
             took.count(), grouped(static_cast<std::uint64_t>(rate)));
  fmt::print("  windows       {} ({}), {} retries\n", grouped(stats.windows), reasons(stats),
             grouped(stats.retries));
  fmt::print("  latency       append to commit: p50 {:.1f} ms, p99 {:.1f} ms\n",
             latencies.quantile(0.5), latencies.quantile(0.99));
  print_ledger(stats);
  fmt::print(
      "  database      {} rows: {} words, longest line {} characters\n",
      grouped(static_cast<std::uint64_t>(rows)),
      grouped(static_cast<std::uint64_t>(observer.number("SELECT sum(words) FROM lines"))),
      grouped(static_cast<std::uint64_t>(observer.number("SELECT max(characters) FROM lines"))));
  if (stats.dead_lettered > 0)
    fmt::print("  dead letters  {} in {}\n", grouped(stats.dead_lettered), options.dead_letters);
  if (options.compare) {
    const double single = one_by_one(observer, path + ".one-by-one");
    fmt::print("  one by one    {} rows per second: by the window it is {:.1f} times as fast\n",
               grouped(static_cast<std::uint64_t>(single)), single > 0 ? rate / single : 0);
  }

  if (input_error) std::rethrow_exception(input_error);
  if (!consumer.take_dead_letters().empty())
    throw std::runtime_error(options.dead_letters + ": not every dead letter could be written");
  if (stats.delivered + stats.dead_lettered != stats.accepted || !stats.balances() ||
      rows - rows_before != static_cast<std::int64_t>(stats.delivered))
    throw std::runtime_error(fmt::format("{} lines, but {} rows and {} dead letters",
                                         stats.accepted, rows - rows_before, stats.dead_lettered));
  return 0;
}

}  // namespace
}  // namespace lines

int main(int count, char** arguments) {
  try {
    const lines::Options options = lines::parse_options(count, arguments);
    if (options.help) {
      fmt::print("{}", lines::help_text);
      return 0;
    }
    return lines::run(options);
  } catch (const lines::BadOption& error) {
    fmt::print(stderr, "lines_to_sqlite: {}; --help tells the options\n", error.what());
    return 2;
  } catch (const std::exception& error) {
    fmt::print(stderr, "lines_to_sqlite: {}\n", error.what());
    return 1;
  }
}
