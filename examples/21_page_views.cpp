// Page views per URL per minute, by the time in the log and not by that of its arrival. Some lines
// come late: within the lateness allowed they correct their minute, beyond it they go aside. The
// log is made by a seeded generator.

#include <fmt/format.h>

#include <map>
#include <microbatch/microbatch.hpp>
#include <random>
#include <string>
#include <vector>

namespace {

struct View {
  std::chrono::milliseconds time;
  std::string url;
};

/// Ten minutes of a server's log: in order but for a few lines.
std::vector<View> make_log() {
  std::mt19937 random(42);
  const char* urls[] = {"/", "/news", "/shop", "/shop/cart"};
  std::vector<View> log;
  for (int second = 0; second < 600; ++second)
    for (auto n = random() % 5; n > 0; --n) {
      auto time = std::chrono::milliseconds(1000 * second + static_cast<int>(random() % 1000));
      if (random() % 50 == 0) time -= std::chrono::seconds(random() % 30);    // a slow server
      if (random() % 200 == 0) time -= std::chrono::seconds(random() % 600);  // a lost packet
      log.push_back({std::max(time, std::chrono::milliseconds(0)), urls[random() % 4]});
    }
  return log;
}

}  // namespace

int main() {
  using namespace microbatch;
  using namespace std::chrono_literals;
  const std::vector<View> log = make_log();

  std::map<std::pair<long, std::string>, std::uint64_t> minutes;
  std::size_t corrected = 0;
  std::size_t aside = 0;
  auto flow =
      from(log) | by_key(&View::url) |
      window(
          TumblingWindow{1min, &View::time, {.out_of_orderness = 5s, .allowed_lateness = 2min}}) |
      count() | side([&](Window<View>& window) { aside += window.size(); }) |
      to([&](const auto& result) {
        minutes[{result.bounds->begin.time_since_epoch() / 1min, result.key}] += result.value;
        if (result.reason == Reason::late) corrected += result.value;
      });
  flow.run();

  std::uint64_t counted = 0;
  for (const auto& [minute_and_url, views] : minutes) {
    counted += views;
    if (minute_and_url.first < 2)
      fmt::print("minute {} {:<12}{:>4}\n", minute_and_url.first, minute_and_url.second, views);
  }
  fmt::print("{} views counted, {} of them late; {} too late, aside\n", counted, corrected, aside);
  return counted + aside == log.size() && corrected > 0 && aside > 0 ? 0 : 1;
}
