// What the core tells of where items came from; durable streams live by it.

#include <microbatch/microbatch.hpp>
#include <microbatch/testing/vector_source.hpp>

#include <cstdint>
#include <stdexcept>
#include <utility>
#include <vector>

#include "support/rig.hpp"

using microbatch::Origin;

TEST_CASE("a window tells each item's origin, also in a part of one, and so does a dead letter",
          "[window]") {
  microbatch::testing::VectorSource<int> source({0, 10, 20, 30, 40, 50, 60, 70});
  std::vector<std::int64_t> dead;
  bool right = true;
  microbatch::RunOptions<int, void> options;
  options.consumer.on_failure = {.max_attempts = 1,
                                 .first_delay = microbatch::Duration{1},
                                 .max_delay = microbatch::Duration{1},
                                 .isolate = microbatch::Isolate::always};
  options.consumer.dead_letters = [&](microbatch::DeadLetter<int>& letter) {
    dead.push_back(letter.origin.offset);
  };
  (void)microbatch::run(
      source, microbatch::CountWindow{8},
      [&](microbatch::Window<int>& window) {
        for (std::size_t i = 0; i < window.size(); ++i)
          right = right && window.origin(i) == Origin{0, window[i] / 10};
        for (const int item : window)
          if (item == 50) throw std::runtime_error("50");
      },
      microbatch::NoSink{}, options);
  CHECK(right);
  CHECK(dead == std::vector<std::int64_t>{5});
}

TEST_CASE("items that no source brought have no origin, and stamps only on a stamped stream",
          "[window]") {
  microbatch::Stream<int> stream({.arrival_stamps = true});
  bool right = true;
  {
    auto consumer = microbatch::streaming(stream, microbatch::CountWindow{2},
                                          [&](microbatch::Window<int>& window) {
                                            for (std::size_t i = 0; i < window.size(); ++i)
                                              right = right && window.origin(i).offset == -1 &&
                                                      window.stamp(i) != microbatch::TimePoint{} &&
                                                      window.stamp(i) <= window.closed_at();
                                          });
    stream.append(1);
    stream.append(2);
  }
  CHECK(right);
}

TEST_CASE("an item that says when it arrived belongs to that time, unless it has been closed",
          "[stream]") {
  using namespace std::chrono_literals;
  test::Rig<> rig;
  // A lane of its own from the start, as a loader has it.
  auto& core = *microbatch::detail::CoreOf<int>::get(rig.stream);
  auto& lane = core.lanes.acquire();
  rig.consume(microbatch::FixedTimeWindow{1s});
  const auto append = [&](int item, microbatch::Duration arrived) {
    const Origin origin{0, item};
    using Wait = microbatch::detail::Admission<int>::Wait;
    REQUIRE(core.admission.append(lane, std::move(item), Wait::never, microbatch::never,
                                  {.origin = &origin, .arrived = rig.start + arrived}) ==
            microbatch::AppendResult::accepted);
  };
  rig.leap_to(2500ms);
  append(1, 100ms);
  append(2, 1200ms);
  append(3, 1100ms);  // not before the item in front of it
  rig.run();
  CHECK(rig.items() == test::Windows<>{{1}, {2, 3}});
  append(4, 300ms);  // closed: it arrives now
  append(5, 400ms);
  rig.at(3s);
  CHECK(rig.items() == test::Windows<>{{1}, {2, 3}, {4, 5}});
  CHECK(rig.bounds() == test::Times{0s, 1s, 1s, 2s, 2s, 3s});
  core.lanes.release(lane);
  (void)rig.close();
}
