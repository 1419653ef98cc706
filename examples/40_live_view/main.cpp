// A live view of a running pipeline in the terminal; plain lines where the output is no terminal.
//
//   40_live_view [SECONDS]     how long to run; 3 unless said otherwise

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <microbatch/microbatch.hpp>
#include <stdexcept>
#include <thread>

#include "view.hpp"

using namespace microbatch;
using namespace std::chrono_literals;

namespace {

/// Draws over what it drew last.
class Screen {
 public:
  void show(const View& view) {
    if (!is_terminal_) {
      fmt::print("{}", view.lines());
    } else {
      if (drawn_ > 0) fmt::print("\033[{}A\033[J", drawn_);  // up, and clear from there
      const std::string text = view.text();
      fmt::print("{}", text);
      drawn_ = std::count(text.begin(), text.end(), '\n');
    }
    std::fflush(stdout);
  }

 private:
  const bool is_terminal_ = isatty(STDOUT_FILENO) == 1;
  std::ptrdiff_t drawn_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  const double seconds = argc > 1 ? std::atof(argv[1]) : 3;
  if (!(seconds > 0 && seconds <= 86'400)) {
    fmt::print(stderr, "SECONDS must be above 0 and at most 86400, got {}\n", argv[1]);
    return 2;
  }

  ThreadPool pool{2};
  Stream<int> orders({.name = "orders", .capacity = 8192, .arrival_stamps = true});
  Stream<int> clicks({.name = "clicks",
                      .capacity = 1024,
                      .overflow = Overflow::drop_oldest,
                      .arrival_stamps = true});

  auto inserts =
      streaming(orders, any_of(CountWindow{256}, MaxAgeWindow{20ms}),
                [](Window<int>& window) {
                  std::this_thread::sleep_for(1ms + std::chrono::microseconds(window.size() * 5));
                  for (const int order : window)
                    if (order % 5000 == 4999) throw std::runtime_error("no such customer");
                },
                {.executor = pool,
                 .dead_letters = [](const DeadLetter<int>&) {},
                 .on_failure = {.max_attempts = 1, .first_delay = 1ms},
                 .histograms = true});
  auto counts = streaming(clicks, RelaxedTimeWindow{50ms},
                          [](Window<int>&) { std::this_thread::sleep_for(2ms); },
                          {.executor = pool, .histograms = true});

  // Orders come in waves, clicks steadily.
  std::array<std::jthread, 2> producers{std::jthread([&](const std::stop_token& stop) {
                                          for (int i = 0; !stop.stop_requested();) {
                                            const int burst =
                                                20 + static_cast<int>(18 * std::sin(i / 3000.0));
                                            for (int k = 0; k < burst; ++k) orders.append(i++);
                                            std::this_thread::sleep_for(1ms);
                                          }
                                        }),
                                        std::jthread([&](const std::stop_token& stop) {
                                          for (int i = 0; !stop.stop_requested(); ++i) {
                                            clicks.append(i);
                                            std::this_thread::sleep_for(500us);
                                          }
                                        })};

  View view;
  view.watch(inserts);
  view.watch(counts);
  Screen screen;
  const auto start = std::chrono::steady_clock::now();
  for (auto last = start; last - start < std::chrono::duration<double>(seconds);) {
    std::this_thread::sleep_for(250ms);
    const auto now = std::chrono::steady_clock::now();
    view.look(now - last);
    last = now;
    screen.show(view);
  }

  for (auto& producer : producers) producer.request_stop();
  for (auto& producer : producers) producer.join();
  const auto ended = inserts.close();
  counts.close();
  fmt::print("{} orders inserted, {} put aside\n", ended.delivered, ended.dead_lettered);
  return inserts.stats().balances() && counts.stats().balances() ? 0 : 1;
}
