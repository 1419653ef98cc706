// Engines on an Asio loop: on_wake posts a turn, a timer brings the next one, and SIGTERM ends it
// in an orderly way. No thread but the program's own runs the callbacks.

#include <fmt/format.h>

#include <asio.hpp>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <microbatch/microbatch.hpp>
#include <string>
#include <thread>
#include <utility>

using namespace microbatch;
using namespace std::chrono_literals;

namespace {

/// Drives an engine from an io_context that one thread runs. It must outlive the engine's use.
template <class T>
class Driver {
 public:
  Driver(asio::io_context& loop, Engine<T> engine)
      : loop_(loop), timer_(loop), engine_(std::move(engine)) {
    // Producers call it: at most one turn is on its way at a time.
    engine_.on_wake([this] {
      if (!posted_.exchange(true)) asio::post(loop_, [this] { turn(); });
    });
    asio::post(loop_, [this] { turn(); });
  }
  Driver(const Driver&) = delete;
  Driver& operator=(const Driver&) = delete;

  /// No more input; the loop runs out of work when all of it is delivered.
  void close() {
    engine_.close();
    turn();
  }
  [[nodiscard]] const Engine<T>& engine() const noexcept { return engine_; }

 private:
  void turn() {
    posted_ = false;  // first: what comes from here on wants another turn
    const TimePoint next = engine_.step(std::chrono::steady_clock::now());
    if (next == never || engine_.finished()) {
      timer_.cancel();
      return;
    }
    timer_.expires_at(std::chrono::time_point_cast<asio::steady_timer::duration>(next));
    timer_.async_wait([this](const asio::error_code& error) {
      if (!error) turn();
    });
  }

  asio::io_context& loop_;
  asio::steady_timer timer_;
  std::atomic<bool> posted_{false};
  Engine<T> engine_;
};

}  // namespace

int main() {
  asio::io_context loop;
  Stream<std::string> lines({.name = "lines"});
  Stream<int> numbers({.name = "numbers"});
  std::uint64_t handled = 0;
  Driver<std::string> line_driver(
      loop, Engine<std::string>(lines, any_of(CountWindow{64}, MaxAgeWindow{5ms}),
                                [&](Window<std::string>& window) { handled += window.size(); }));
  Driver<int> number_driver(loop,
                            Engine<int>(numbers, RelaxedTimeWindow{10ms},
                                        [&](Window<int>& window) { handled += window.size(); }));

  asio::signal_set signals(loop, SIGTERM, SIGINT);
  auto keep_running = asio::make_work_guard(loop);
  signals.async_wait([&](const asio::error_code& error, int signal) {
    if (error) return;
    fmt::print("signal {}: no more input, what is in is delivered\n", signal);
    line_driver.close();
    number_driver.close();
    keep_running.reset();
  });

  std::uint64_t accepted = 0;
  std::jthread producer([&] {
    for (int i = 0;; ++i) {
      if (lines.append(fmt::format("line {}", i)) != AppendResult::accepted) break;
      ++accepted;
      if (numbers.append(i) != AppendResult::accepted) break;
      ++accepted;
      if (i == 1000) std::raise(SIGTERM);
      if (i % 50 == 0) std::this_thread::sleep_for(1ms);
    }
  });
  loop.run();
  producer.join();
  fmt::print("{} accepted, {} handled\n", accepted, handled);
  const bool finished = line_driver.engine().finished() && number_driver.engine().finished();
  return finished && accepted > 2000 && handled == accepted ? 0 : 1;
}
