// Event-time windows, by key and not, against a plain slow model: random times, disorder, lateness
// and keys, swept in random portions. Each window must hold exactly the items that the model says,
// and each item must end once.

#include <microbatch/microbatch.hpp>
#include <microbatch/testing/manual_clock.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <random>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/stress.hpp"
#include "support/window_model.hpp"

using namespace microbatch;
using namespace model;

namespace {

template <class E>
Groups run(const Script& script, E emitter, Stats& stats) {
  Groups groups;
  testing::ManualClock clock;
  Stream<Event> stream({.clock = clock});
  Engine<Event> engine(stream, std::move(emitter), [&](Window<Event>& window) {
    const Group group = group_of(window);
    for (const Event& event : window) groups[group].push_back(event.id);
  });
  std::size_t next = 0;
  for (const int portion : script.portions) {
    for (int i = 0; i < portion && next < script.events.size(); ++i)
      REQUIRE(stream.append(script.events[next++]) == AppendResult::accepted);
    engine.step(clock.now());
  }
  engine.close();
  engine.step(clock.now());
  REQUIRE(engine.finished());
  stats = engine.stats();
  for (auto& [group, ids] : groups) std::sort(ids.begin(), ids.end());
  return groups;
}

void check(const Script& script) {
  Stats stats;
  const auto same_as = [&](const Groups& real, const Groups& model) {
    INFO("size " << script.size << " hop " << script.hop << " gap " << script.gap << " disorder "
                 << script.disorder << " lateness " << script.lateness);
    REQUIRE(difference(real, model) == "");
    REQUIRE(stats.balances());
    REQUIRE(stats.delivered == script.events.size());
  };
  const auto size = std::chrono::seconds(script.size);
  const auto hop = std::chrono::seconds(script.hop);
  const HoppingWindow windows{size, hop, when, script.rules()};
  const SessionWindow sessions{std::chrono::seconds(script.gap), when, script.rules()};
  if (script.keyed) {
    same_as(run(script, by_key(&Event::key, windows), stats), of_grid(script));
    same_as(run(script, by_key(&Event::key, sessions), stats), of_sessions(script));
  } else {
    same_as(run(script, windows, stats), of_grid(script));
    same_as(run(script, sessions, stats), of_sessions(script));
  }
  if (script.size == script.hop && !script.keyed)
    same_as(run(script, TumblingWindow{size, when, script.rules()}, stats), of_grid(script));
}

}  // namespace

TEST_CASE("event-time windows hold what a plain model says", "[property]") {
  if (const char* seed = std::getenv("MICROBATCH_SEED")) {
    check(make_script(std::stoull(seed)));
    return;
  }
  std::random_device device;
  const std::size_t scripts = stress::scaled(300);
  for (std::size_t i = 0; i < scripts; ++i) {
    const std::uint64_t seed = (std::uint64_t{device()} << 32) | device();
    INFO("MICROBATCH_SEED=" << seed);
    check(make_script(seed));
  }
}
