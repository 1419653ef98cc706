// Technique 6 of 8, dead letters: what cannot be handled is put aside with the reason, and holds
// nothing up. The items are the words of a real text, /proc/meminfo; the callback wants numbers.

#include <fmt/format.h>

#include <fstream>
#include <microbatch/microbatch.hpp>
#include <string>
#include <vector>

int main() {
  using namespace microbatch;
  std::ifstream file("/proc/meminfo");
  std::vector<std::string> words;
  for (std::string word; words.size() < 60 && file >> word;) words.push_back(word);
  if (words.empty()) words = {"MemTotal:", "16384", "kB"};  // where there is no /proc

  Stream<std::string> stream;
  std::vector<DeadLetter<std::string>> dead;
  unsigned long long sum = 0;
  auto consumer = streaming(
      stream, CountWindow{20},
      [&](Window<std::string>& window) {
        for (std::size_t i = 0; i < window.size(); ++i) {
          try {
            sum += std::stoull(window[i]);
          } catch (const std::exception&) {
            window.reject(i, "not a number");  // this one alone; the others are delivered
          }
        }
      },
      {.dead_letters = [&](DeadLetter<std::string> letter) { dead.push_back(std::move(letter)); }});
  for (const std::string& word : words) stream.append(word);
  const auto end = consumer.close();

  for (std::size_t i = 0; i < std::min<std::size_t>(3, dead.size()); ++i)
    fmt::print("{}: {}\n", dead[i].item, dead[i].error);
  fmt::print("{} numbers, {} dead letters\n", end.delivered, dead.size());
  return sum > 0 && end.delivered > 0 && end.delivered + dead.size() == words.size() ? 0 : 1;
}
