// ConsumerOptions::on_window: the life of each window, as tracing and logging see it.

#include <fmt/format.h>

#include <stdexcept>
#include <string>
#include <vector>

#include "support/rig.hpp"

using namespace microbatch;
using namespace std::chrono_literals;
using test::Names;
using test::Rig;

namespace {

/// `ended 0.1#2 count x3 +20ms failed`: window 0, part 1, attempt 2, three items, 20 ms after it
/// was emitted.
std::string told(const WindowEvent& event) {
  return fmt::format(
      "{} {}.{}#{} {} x{} +{}ms{}{}{}{}", to_string(event.kind), event.sequence, event.part,
      event.attempt, to_string(event.reason), event.items, (event.at - event.emitted_at) / 1ms,
      event.kind == WindowEvent::Kind::ended && event.at > event.begun_at
          ? fmt::format(" in {}ms", (event.at - event.begun_at) / 1ms)
          : "",
      event.put_only ? " put" : "", event.undone ? " undone" : "", event.error ? " failed" : "");
}

}  // namespace

TEST_CASE("on_window hears each attempt begin and end, then the window settle", "[observer]") {
  Rig<int> rig({.name = "orders"});
  Names heard;
  std::string stream;
  int calls = 0;
  rig.consume(
      CountWindow{3},
      [&](Window<int>&) {
        rig.clock.advance(5ms);
        if (++calls == 1) throw TransientError("not yet");
      },
      {.on_failure = {.first_delay = 20ms, .jitter = 0}, .on_window = [&](const WindowEvent& e) {
         heard.push_back(told(e));
         stream = e.stream;
       }});
  rig.append_numbers(0, 3);
  rig.pass_until(100ms, 5ms);
  CHECK(stream == "orders");
  CHECK(heard == Names{"begun 0.0#1 count x3 +0ms", "ended 0.0#1 count x3 +5ms in 5ms failed",
                       "begun 0.0#2 count x3 +25ms", "ended 0.0#2 count x3 +30ms in 5ms",
                       "settled 0.0#2 count x3 +30ms"});
  rig.append(4);
  rig.close();
  CHECK(heard.back() == "settled 1.0#1 close x1 +5ms");
}

TEST_CASE("on_window hears the parts of a window that is taken apart", "[observer]") {
  Rig<int> rig;
  Names heard;
  rig.consume(CountWindow{2},
              [&](Window<int>& window) {
                for (const int i : window)
                  if (i == 7) throw std::runtime_error("poison");
              },
              {.on_failure = {.max_attempts = 1},
               .on_window = [&](const WindowEvent& e) { heard.push_back(told(e)); }});
  rig.append(1, 2);
  rig.run();
  heard.clear();
  rig.append(7, 3);
  rig.run();
  CHECK(heard == Names{"begun 1.0#1 count x2 +0ms", "ended 1.0#1 count x2 +0ms failed",
                       "begun 1.1#2 count x1 +0ms", "ended 1.1#2 count x1 +0ms failed",
                       "begun 1.2#2 count x1 +0ms", "ended 1.2#2 count x1 +0ms",
                       "begun 1.3#3 count x1 +0ms", "ended 1.3#3 count x1 +0ms failed",
                       "settled 1.0#3 count x2 +0ms"});
  CHECK(rig.stats().dead_lettered == 1);
  rig.close();
}

TEST_CASE("on_window tells a put that is repeated from a call", "[observer]") {
  Rig<int> rig;
  Names heard;
  testing::ManualExecutor& executor = rig.executor;
  int puts = 0;
  struct Unwilling {
    int* puts;
    void put(std::span<const int>) {
      if (++*puts == 1) throw std::runtime_error("full");
    }
  };
  auto consumer =
      streaming(rig.stream, CountWindow{1}, [](Window<int>& window) { return window[0]; },
                {.executor = executor,
                 .sink = Unwilling{&puts},
                 .on_failure = {.first_delay = 20ms, .jitter = 0},
                 .on_window = [&](const WindowEvent& e) { heard.push_back(told(e)); }});
  rig.append(1);
  rig.pass_until(30ms);
  CHECK(heard == Names{"begun 0.0#1 count x1 +0ms", "ended 0.0#1 count x1 +0ms failed",
                       "begun 0.0#1 count x1 +20ms put", "ended 0.0#1 count x1 +20ms put",
                       "settled 0.0#1 count x1 +20ms"});
  consumer.close();
}

TEST_CASE("on_window hears of windows that are given up", "[observer]") {
  Rig<int> rig;
  Names heard;
  rig.consume(CountWindow{2}, [](Window<int>&) { throw TransientError("down"); },
              {.on_window = [&](const WindowEvent& e) { heard.push_back(told(e)); }});
  rig.append(1, 2);
  rig.run();
  CHECK(rig.stop().handed_back == std::vector{1, 2});
  CHECK(heard.back() == "settled 0.0#1 count x2 +0ms undone");
}

TEST_CASE("an observer that throws is told to on_error, and nothing else comes of it",
          "[observer]") {
  Rig<int> rig;
  rig.consume(CountWindow{1}, [](Window<int>&) {},
              {.on_window = [](const WindowEvent&) { throw std::runtime_error("no disk"); }});
  rig.append(1, 2);
  rig.run();
  CHECK(rig.stats().delivered == 2);
  REQUIRE_FALSE(rig.errors.empty());
  for (const auto& error : rig.errors) {
    CHECK(error.where == BackgroundError::Where::observer);
    CHECK(error.text == "no disk");
  }
  rig.close();
}

TEST_CASE("an observer that waits for its own consumer gets an error, not a deadlock",
          "[observer]") {
  Rig<int> rig;
  int refused = 0;
  rig.consume(CountWindow{1}, [](Window<int>&) {}, {.on_window = [&](const WindowEvent&) {
                try {
                  rig.consumer->flush();
                } catch (const UsageError&) {
                  ++refused;
                }
              }});
  rig.append(1);
  rig.run();
  CHECK(refused == 3);
  rig.close();
}
