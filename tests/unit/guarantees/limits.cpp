// That limits hold on every path.

#include <numeric>
#include <stdexcept>

#include "support/rig.hpp"

using namespace microbatch;
using namespace std::chrono_literals;
using test::Rig;
using test::Windows;

namespace {

/// Windows of equal items. Never ready by itself, and its flush leaves the limit to window_ready.
struct EqualItems {
  Readiness window_ready(Pending<int>& pending, TimePoint) {
    std::size_t run = 0;
    while (run < pending.size() && pending[run] == pending[0]) ++run;
    return {.limit = run < pending.size() ? run : npos, .at_items = pending.size() + 1};
  }
  Readiness flush(Pending<int>& pending, TimePoint) { return {.ready = pending.total() > 0}; }
};

}  // namespace

TEST_CASE("guarantee 3: no window exceeds a limit of count or weight, on any path", "[guarantee]") {
  const std::vector<int> weights{1, 9, 1, 25, 2, 2, 2, 2, 8, 3, 11, 10, 1, 1, 1, 1, 5, 5, 5};
  Rig rig({.weight = [](int weight) { return weight; }});
  bool fail = false;
  rig.consume(any_of(CountWindow{3}, WeightWindow{10}, MaxAgeWindow{1s}),
              [&](Window<int>& window) {
                if (fail && window.size() > 1) throw std::runtime_error("only one by one");
              },
              {.on_failure = {.max_attempts = 2, .isolate = Isolate::always}});
  const auto append_all = [&] {
    for (const int weight : weights) rig.append(weight);
  };
  SECTION("one after the other") {
    for (const int weight : weights) {
      rig.append(weight);
      rig.run();
    }
  }
  SECTION("late") {
    append_all();
    rig.at(5s);
  }
  SECTION("flushed") {
    append_all();
    rig.consumer->flush();
    CHECK(rig.stats().pending == 0);
  }
  SECTION("closed at once") { append_all(); }
  SECTION("retried and taken apart") {
    fail = true;
    append_all();
    rig.pass_until(60s, 100ms);
    CHECK(rig.stats().retries > 0);
  }
  rig.close();
  for (const auto& call : rig.calls) {
    const int weight = std::accumulate(call.items.begin(), call.items.end(), 0);
    CAPTURE(call.items);
    CHECK(call.items.size() <= 3);
    CHECK((weight <= 10 || call.items.size() == 1));
  }
  CHECK(rig.flat() == weights);
}

TEST_CASE("guarantee 3: a limit holds for a partial window, whatever the emitter's flush says",
          "[guarantee]") {
  Rig rig;
  rig.consume(EqualItems{});
  rig.append(1, 1, 2, 3, 3, 3);
  rig.run();
  CHECK(rig.windows.empty());
  SECTION("flush") { rig.consumer->flush(); }
  SECTION("close") {}
  rig.close();
  CHECK(rig.items() == Windows<>{{1, 1}, {2}, {3, 3, 3}});
}
