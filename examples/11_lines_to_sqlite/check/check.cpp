// Runs the example as its users do, and looks into the database that it leaves.
//
//   check PROGRAM      in an empty or scratch working directory

#include <fcntl.h>
#include <fmt/format.h>
#include <sqlite3.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

using namespace std::chrono_literals;

namespace {

void require(bool condition, const std::string& what) {
  if (!condition) throw std::runtime_error(what);
}

std::string contents(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// The example as a process of its own, its output in files.
class Program {
 public:
  Program(const std::string& path, std::vector<std::string> arguments) {
    int ends[2];
    require(pipe(ends) == 0, "pipe");
    arguments.insert(arguments.begin(), path);
    std::vector<char*> argv;
    for (auto& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);

    process_ = fork();
    require(process_ >= 0, "fork");
    if (process_ == 0) {
      dup2(ends[0], STDIN_FILENO);
      close(ends[0]);
      close(ends[1]);
      const int out = open("stdout", O_WRONLY | O_CREAT | O_TRUNC, 0644);
      const int err = open("stderr", O_WRONLY | O_CREAT | O_TRUNC, 0644);
      dup2(out, STDOUT_FILENO);
      dup2(err, STDERR_FILENO);
      execv(path.c_str(), argv.data());
      _exit(127);
    }
    close(ends[0]);
    input_ = ends[1];
    fcntl(input_, F_SETFD, FD_CLOEXEC);
  }
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;
  ~Program() {
    end_input();
    if (process_ > 0) {
      kill(process_, SIGKILL);
      waitpid(process_, nullptr, 0);
    }
  }

  /// False when nobody reads any more.
  [[nodiscard]] bool feed(const std::string& text) const {
    for (std::size_t done = 0; done < text.size();) {
      const auto n = write(input_, text.data() + done, text.size() - done);
      if (n < 0) return false;
      done += static_cast<std::size_t>(n);
    }
    return true;
  }
  void end_input() {
    if (input_ >= 0) close(std::exchange(input_, -1));
  }
  void interrupt() const { kill(process_, SIGINT); }
  /// The exit status; 128 and more for a signal.
  [[nodiscard]] int wait() {
    int status = 0;
    waitpid(std::exchange(process_, -1), &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }

 private:
  pid_t process_ = -1;
  int input_ = -1;
};

class Sql {
 public:
  explicit Sql(const std::string& path) {
    sqlite3* opened = nullptr;
    const int code = sqlite3_open(path.c_str(), &opened);
    database_.reset(opened);
    require(code == SQLITE_OK, path + ": cannot be opened");
  }
  void execute(const char* sql) {
    require(sqlite3_exec(database_.get(), sql, nullptr, nullptr, nullptr) == SQLITE_OK,
            fmt::format("{}: {}", sql, sqlite3_errmsg(database_.get())));
  }
  std::int64_t number(const char* sql) {
    sqlite3_stmt* statement = nullptr;
    require(sqlite3_prepare_v2(database_.get(), sql, -1, &statement, nullptr) == SQLITE_OK,
            fmt::format("{}: {}", sql, sqlite3_errmsg(database_.get())));
    require(sqlite3_step(statement) == SQLITE_ROW, "no row");
    const std::int64_t answer = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return answer;
  }

 private:
  struct Close {
    void operator()(sqlite3* database) const { sqlite3_close(database); }
  };
  std::unique_ptr<sqlite3, Close> database_;
};

/// The number that follows `label` in the program's summary.
std::int64_t told(const std::string& output, const std::string& label) {
  const std::size_t at = output.find(label);
  require(at != std::string::npos, fmt::format("no `{}` in the summary:\n{}", label, output));
  std::int64_t number = 0;
  for (std::size_t i = output.find_first_of("0123456789", at + label.size());
       i < output.size() && (output[i] == ',' || std::isdigit(output[i]) != 0); ++i)
    if (output[i] != ',') number = number * 10 + (output[i] - '0');
  return number;
}

struct DeadLetters {
  std::int64_t count = 0;
  std::int64_t bytes = 0;  // of the lines, with their ends
  std::string errors;
};

DeadLetters dead_letters(const std::string& path) {
  DeadLetters found;
  std::istringstream file(contents(path));
  for (std::string line; std::getline(file, line);) {
    std::size_t at = line.find('\t');
    at = line.find('\t', at + 1);
    const std::size_t error = at + 1;
    at = line.find('\t', error);
    require(at != std::string::npos, "a dead letter has four fields");
    ++found.count;
    found.bytes += static_cast<std::int64_t>(line.size() - at);
    found.errors += line.substr(error, at - error) + ";";
  }
  return found;
}

void balanced(const std::string& output) {
  require(output.find(": balanced") != std::string::npos, "the ledger must balance:\n" + output);
}

void default_run(const std::string& program) {
  Program run(program, {});
  const int status = run.wait();
  const std::string output = contents("stdout");
  require(status == 0, fmt::format("exit status {}:\n{}{}", status, output, contents("stderr")));
  balanced(output);
  Sql database("lines.db");
  const std::int64_t rows = database.number("SELECT count(*) FROM lines");
  require(rows > 1'000, fmt::format("a machine has more than {} lines to show", rows));
  require(rows + dead_letters("lines.dead-letters.txt").count == told(output, "  lines "),
          "rows + dead letters = lines");
}

void bad_lines(const std::string& program) {
  std::ofstream("bad.txt", std::ios::binary)
      << "good morning\n"
      << "caf\xC3\xA9 au lait\n"
      << "caf\xE9 in another encoding\n"
      << "\n"
      << std::string("null \0 byte\n", 12) << "too long a form: \xC0\xAF\n"
      << std::string(3 * 1024 * 1024, 'x') << "\n"
      << "no line end";
  std::filesystem::remove("bad.db");
  Program run(program, {"--database=bad.db", "--dead-letters", "bad.dead", "bad.txt"});
  const int status = run.wait();
  const std::string output = contents("stdout");
  require(status == 0, fmt::format("exit status {}:\n{}{}", status, output, contents("stderr")));
  balanced(output);

  Sql database("bad.db");
  require(database.number("SELECT count(*) FROM lines") == 4, "four good lines");
  require(database.number("SELECT characters FROM lines WHERE words = 3 AND offset = 13") == 12,
          "`café au lait` has 12 characters");
  require(database.number("SELECT count(*) FROM lines WHERE text = 'no line end'") == 1,
          "the last line needs no end");
  const DeadLetters dead = dead_letters("bad.dead");
  require(dead.errors.starts_with("not valid UTF-8;holds a null byte;not valid UTF-8;a piece of"),
          "unexpected errors: " + dead.errors);
  require(dead.count == told(output, "dead letters") && dead.count == told(output, "dead-lettered"),
          "the dead letters are counted");
}

void interrupted(const std::string& program) {
  std::filesystem::remove("interrupted.db");
  Program run(program, {"--database", "interrupted.db", "--dead-letters", "interrupted.dead", "-"});
  std::jthread feeder([&] {
    std::string block;
    for (int i = 0; i < 2'000; ++i)
      block += i % 100 == 99 ? fmt::format("bad line {}\xFF\n", i) : fmt::format("line {}\n", i);
    while (run.feed(block)) continue;
    run.end_input();
  });
  std::this_thread::sleep_for(700ms);
  run.interrupt();
  const int status = run.wait();
  feeder.join();
  const std::string output = contents("stdout");
  require(status == 0, fmt::format("exit status {}:\n{}{}", status, output, contents("stderr")));
  balanced(output);
  require(output.find("interrupted") != std::string::npos, "the summary tells of the interrupt");

  Sql database("interrupted.db");
  const DeadLetters dead = dead_letters("interrupted.dead");
  const std::int64_t rows = database.number("SELECT count(*) FROM lines");
  require(rows > 1'000 && dead.count > 10, "the interrupt came in the middle of the input");
  require(rows + dead.count == told(output, "accepted"), "rows + dead letters = accepted");
  // The input up to its last accepted line, each of its bytes once.
  require(database.number("SELECT count(*) - count(DISTINCT offset) FROM lines") == 0,
          "no line twice");
  const std::int64_t end =
      database.number("SELECT max(offset + length(CAST(text AS BLOB)) + 1) FROM lines");
  const std::int64_t bytes =
      database.number("SELECT sum(length(CAST(text AS BLOB)) + 1) FROM lines") + dead.bytes;
  require(bytes == end || bytes == end + static_cast<std::int64_t>(sizeof "bad line 1999\xFF"),
          fmt::format("{} bytes came, {} were taken", bytes, end));
}

void locked_database(const std::string& program) {
  std::filesystem::remove("locked.db");
  Program run(program, {"--database", "locked.db", "--age-ms=5", "-"});
  require(run.feed("before\n"), "the program reads");
  Sql database("locked.db");
  sqlite3_sleep(300);
  database.execute("BEGIN IMMEDIATE");
  require(run.feed("during\n"), "the program reads");
  run.end_input();
  sqlite3_sleep(300);
  database.execute("COMMIT");
  const int status = run.wait();
  const std::string output = contents("stdout");
  require(status == 0, fmt::format("exit status {}:\n{}{}", status, output, contents("stderr")));
  require(database.number("SELECT count(*) FROM lines") == 2, "both lines are there");
  require(output.find(" 0 retries") == std::string::npos,
          "it was tried more than once:\n" + output);
  require(contents("stderr").find("locked") != std::string::npos, "the user is told why");
}

void refusals(const std::string& program) {
  struct Case {
    std::vector<std::string> arguments;
    int status;
    std::string message;
  };
  const std::vector<Case> cases{
      {{"no/such/file"}, 1, "no/such/file: No such file or directory"},
      {{"/"}, 1, "/: Is a directory"},
      {{"--database", "no/such/folder/db", "bad.txt"}, 1, "unable to open database file"},
      {{"--database", "bad.db", "--dead-letters", "no/such/folder/file", "bad.txt"},
       1,
       "no/such/folder/file"},
      {{"--wibble"}, 2, "unknown option `--wibble`"},
      {{"-x"}, 2, "unknown option `-x`"},
      {{"--window", "0"}, 2, "--window takes a number from 1"},
      {{"--window", "-5"}, 2, "--window takes a number from 1"},
      {{"--age-ms=soon"}, 2, "--age-ms takes a number from 1"},
      {{"--workers"}, 2, "--workers takes a value"},
      {{"--compare=yes"}, 2, "unknown option `--compare=yes`"},
      {{"one", "two"}, 2, "one FILE only"},
  };
  for (const Case& each : cases) {
    Program run(program, each.arguments);
    const int status = run.wait();
    const std::string error = contents("stderr");
    require(status == each.status && error.find(each.message) != std::string::npos &&
                std::ranges::count(error, '\n') == 1,
            fmt::format("{}: status {}, `{}`; expected {}, `{}`", each.arguments[0], status, error,
                        each.status, each.message));
  }
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 2) {
    fmt::print(stderr, "usage: check PROGRAM\n");
    return 2;
  }
  (void)std::signal(SIGPIPE, SIG_IGN);
  const std::string program = std::filesystem::absolute(arguments[1]);
  const std::pair<const char*, void (*)(const std::string&)> checks[] = {
      {"default run", default_run},
      {"lines that do not parse", bad_lines},
      {"Ctrl-C in the middle of the input", interrupted},
      {"database locked by another process", locked_database},
      {"refusals", refusals},
  };
  int failed = 0;
  for (const auto& [name, check] : checks) {
    try {
      check(program);
      fmt::print("passed  {}\n", name);
    } catch (const std::exception& error) {
      fmt::print("FAILED  {}: {}\n", name, error.what());
      ++failed;
    }
  }
  return failed == 0 ? 0 : 1;
}
