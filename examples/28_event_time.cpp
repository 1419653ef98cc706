// Technique 4 of 8, event time: what counts is when something happened, not when it was told. A
// seeded generator plays a thermometer whose readings come out of order; a few come so late that
// their minute is over, some of them even beyond what is allowed.

#include <fmt/format.h>

#include <algorithm>
#include <microbatch/microbatch.hpp>
#include <random>
#include <vector>

namespace {

struct Reading {
  std::chrono::milliseconds at;
  double celsius;
};

}  // namespace

int main() {
  using namespace microbatch;
  using namespace std::chrono_literals;
  std::mt19937 random(4);
  struct Sent {
    std::chrono::milliseconds arrives;
    Reading reading;
  };
  std::vector<Sent> sent;
  for (int i = 0; i < 6000; ++i) {
    const auto at = 100ms * i;
    const auto delay = i % 1000 == 500  ? 300'000ms  // much too late
                       : i % 200 == 100 ? 20'000ms   // late
                                        : std::chrono::milliseconds(random() % 2000);
    sent.push_back({at + delay, {at, 20.0 + static_cast<double>(random() % 100) / 50}});
  }
  std::ranges::sort(sent, {}, &Sent::arrives);
  std::vector<Reading> readings;
  for (const Sent& one : sent) readings.push_back(one.reading);

  std::uint64_t in_time = 0;
  std::uint64_t late = 0;
  std::uint64_t too_late = 0;
  auto flow =
      from(readings) |
      window(
          TumblingWindow{1min, &Reading::at, {.out_of_orderness = 2s, .allowed_lateness = 1min}}) |
      max(&Reading::celsius) | side([&](Window<Reading>& w) { too_late += w.size(); }) |
      to([&](const auto& highest) { (highest.reason == Reason::late ? late : in_time) += 1; });
  const auto end = flow.run();
  fmt::print("{} minutes with their highest reading; {} corrections by late ones; {} too late\n",
             in_time, late, too_late);
  return in_time == 10 && late > 0 && too_late > 0 && end.closed.delivered == 6000 ? 0 : 1;
}
