#include "support/rig.hpp"

#include <utility>
#include <vector>

using namespace microbatch;
using namespace std::chrono_literals;

namespace {

/// How often the engine is rung while producers append in turn, `windows` windows of 1000, and each
/// ring is answered before the next append.
template <class E>
std::size_t rings(std::size_t producers, std::size_t windows, E emitter) {
  testing::ManualClock clock;
  Stream<std::size_t> stream({.clock = clock});
  std::size_t emitted = 0;
  std::size_t rung = 0;
  Engine<std::size_t> engine(stream, emitter, [&](Window<std::size_t>&) { ++emitted; });
  engine.on_wake([&] { ++rung; });
  std::vector<Producer<std::size_t>> in_turn;
  for (std::size_t i = 0; i < producers; ++i) in_turn.push_back(stream.producer());
  engine.step(clock.now());
  for (std::size_t i = 0, answered = 0; i < 1000 * windows; ++i) {
    REQUIRE(in_turn[i % producers].append(i) == AppendResult::accepted);
    if (std::exchange(answered, rung) != rung) engine.step(clock.now());
  }
  CHECK(emitted == windows);
  return rung;
}

}  // namespace

TEST_CASE("Wake: producers that append in turn ring a few times a window, not per item", "[wake]") {
  for (const std::size_t producers : {1U, 2U, 4U, 16U}) {
    INFO(producers << " producers");
    // The last of every share rings, and then what is missing is shared out again.
    constexpr std::size_t windows = 20;
    const std::size_t few = windows * (producers + 4);
    CHECK(rings(producers, windows, CountWindow{1000}) <= few);
    CHECK(rings(producers, windows, any_of(CountWindow{1000}, MaxAgeWindow{1s})) <= few);
  }
}
