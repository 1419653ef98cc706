// A whole pipeline in one call: a source of one's own, a callback, a sink of one's own. The source
// is told how far its lines have got, so that it could go on from there after a crash.

#include <fmt/format.h>

#include <cctype>
#include <cstddef>
#include <istream>
#include <map>
#include <microbatch/microbatch.hpp>
#include <sstream>
#include <string>
#include <string_view>

namespace {

/// Lines of a text; commit() learns the number of the last line that is done for good.
class LineSource {
 public:
  using value_type = std::string;

  explicit LineSource(std::istream& text) : text_(text) {}

  void run(microbatch::Feed<std::string>& feed, std::stop_token stop) {
    std::string line;
    for (std::int64_t number = 1; !stop.stop_requested() && std::getline(text_, line); ++number)
      feed.append(line, microbatch::Origin{.partition = 0, .offset = number});
  }
  void commit(microbatch::Origin last) {
    fmt::print("  committed up to line {}\n", last.offset);
    committed_ = last.offset;
  }
  [[nodiscard]] std::int64_t committed() const { return committed_; }

 private:
  std::istream& text_;
  std::int64_t committed_ = 0;
};

/// Takes one result per window and adds them up.
class Totals {
 public:
  explicit Totals(std::map<std::string, int>& totals) : totals_(totals) {}

  void put(std::span<const std::map<std::string, int>> results) {
    for (const auto& counts : results)
      for (const auto& [word, count] : counts) totals_[word] += count;
  }

 private:
  std::map<std::string, int>& totals_;
};

std::map<std::string, int> count_words(microbatch::Window<std::string>& lines) {
  fmt::print("{}\n", lines);
  std::map<std::string, int> counts;
  for (const std::string& line : lines) {
    std::istringstream words(line);
    for (std::string word; words >> word;) ++counts[word];
  }
  return counts;
}

}  // namespace

int main() {
  std::istringstream text(
      "one boat\n"
      "two boats\n"
      "a red boat\n"
      "a blue boat\n"
      "and one more boat\n");
  LineSource source(text);
  std::map<std::string, int> totals;

  const auto result =
      microbatch::run(source, microbatch::CountWindow{2}, count_words, Totals(totals));

  fmt::print("{} lines; boat {}, one {}, red {}\n", result.closed.delivered, totals["boat"],
             totals["one"], totals["red"]);
  return source.committed() == 5 && totals["boat"] == 4 && totals["one"] == 2 ? 0 : 1;
}
