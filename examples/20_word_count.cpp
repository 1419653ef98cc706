// How often does each word occur in a real text? By default the licence that lies on every Debian,
// else the text named on the command line.

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <fstream>
#include <microbatch/microbatch.hpp>
#include <string>
#include <vector>

namespace {

std::vector<std::string> lines_of(const std::string& path) {
  std::vector<std::string> lines;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  return lines;
}

std::vector<std::string> words_of(const std::string& line) {
  std::vector<std::string> words;
  std::string word;
  for (const char c : line + ' ') {
    if (std::isalpha(static_cast<unsigned char>(c)) != 0)
      word += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    else if (!word.empty())
      words.push_back(std::exchange(word, {}));
  }
  return words;
}

}  // namespace

int main(int argc, char** argv) {
  using namespace microbatch;
  std::vector<std::string> lines =
      lines_of(argc > 1 ? argv[1] : "/usr/share/common-licenses/GPL-3");
  if (lines.empty()) lines = lines_of(__FILE__);  // where there is no such text: this one

  Table<std::string, std::uint64_t> counts;
  auto flow = from(lines) | flat_map(words_of) | window(CountWindow{1000}) |
              process([&](std::span<const std::string> words) {
                counts.transaction([&](auto& rows) {
                  for (const std::string& word : words) ++rows[word];
                });
                return words.size();
              }) |
              to([](std::size_t) {});
  const auto end = flow.run();

  auto rows = counts.snapshot();
  std::ranges::sort(rows, [](const auto& a, const auto& b) {
    return std::pair(b.second, a.first) < std::pair(a.second, b.first);
  });
  std::uint64_t total = 0;
  for (const auto& [word, count] : rows) total += count;
  for (std::size_t i = 0; i < std::min<std::size_t>(10, rows.size()); ++i)
    fmt::print("{:>6} {}\n", rows[i].second, rows[i].first);
  fmt::print("{} words, {} different, in {} windows\n", total, rows.size(), end.stats.windows);
  return total == end.closed.delivered && !rows.empty() ? 0 : 1;
}
