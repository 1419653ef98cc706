// check PROGRAM: on a terminal the view redraws itself and fits 80 columns; into a pipe it writes
// plain lines.

#include <fmt/format.h>
#include <pty.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <sstream>
#include <string>

namespace {

int failed = 0;

void expect(bool good, std::string_view what) {
  if (good) return;
  fmt::print("failed: {}\n", what);
  ++failed;
}

/// What the program writes, and whether it ends well.
std::string output_of(const char* program, bool on_terminal) {
  int from = -1;
  int ends[2]{-1, -1};
  if (!on_terminal && pipe(ends) != 0) return {};
  const winsize size{.ws_row = 24, .ws_col = 80, .ws_xpixel = 0, .ws_ypixel = 0};
  const pid_t child = on_terminal ? forkpty(&from, nullptr, nullptr, &size) : fork();
  if (child == 0) {
    if (!on_terminal) dup2(ends[1], STDOUT_FILENO);
    execl(program, program, "1", nullptr);
    _exit(127);
  }
  if (!on_terminal) {
    close(ends[1]);
    from = ends[0];
  }
  std::string text;
  char buffer[4096];
  for (ssize_t n = 0; (n = read(from, buffer, sizeof buffer)) > 0;)
    text.append(buffer, static_cast<std::size_t>(n));
  close(from);
  int status = 0;
  waitpid(child, &status, 0);
  expect(WIFEXITED(status) && WEXITSTATUS(status) == 0, "the program ends well");
  return text;
}

/// Columns of the longest line, without escape sequences.
std::size_t widest(const std::string& text) {
  std::size_t most = 0;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    std::size_t columns = 0;
    for (std::size_t i = 0; i < line.size(); ++i) {
      if (line[i] == '\033') {
        while (i < line.size() && std::isalpha(static_cast<unsigned char>(line[i])) == 0) ++i;
      } else if ((static_cast<unsigned char>(line[i]) & 0xC0) != 0x80 && line[i] != '\r') {
        ++columns;
      }
    }
    most = std::max(most, columns);
  }
  return most;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  const std::string drawn = output_of(argv[1], true);
  expect(drawn.find("\033[8A") != std::string::npos, "a terminal is drawn over, eight lines up");
  expect(drawn.find("▁") != std::string::npos || drawn.find("█") != std::string::npos,
         "sparklines are drawn");
  expect(drawn.find("wait p50") != std::string::npos, "latencies are told");
  expect(widest(drawn) <= 80, fmt::format("80 columns are enough, it took {}", widest(drawn)));

  const std::string lines = output_of(argv[1], false);
  expect(lines.find('\033') == std::string::npos, "a pipe gets no escape sequences");
  expect(lines.find("orders in=") != std::string::npos, "a pipe gets plain lines");
  return failed == 0 ? 0 : 1;
}
