// What the core tells of where items came from; durable streams live by it.

#include <microbatch/microbatch.hpp>
#include <microbatch/testing/vector_source.hpp>

#include <chrono>
#include <cstddef>
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
  const bool stamped = GENERATE(false, true);
  test::Rig<> rig({.arrival_stamps = stamped});
  bool right = true;
  std::vector<microbatch::TimePoint> stamps;
  rig.consume(microbatch::CountWindow{2}, [&](microbatch::Window<int>& window) {
    for (std::size_t i = 0; i < window.size(); ++i) {
      right = right && window.origin(i).offset == -1;
      stamps.push_back(window.stamp(i));
    }
  });
  rig.leap_to(std::chrono::seconds(1));
  rig.append(1);
  rig.leap_to(std::chrono::seconds(2));
  rig.append(2);
  rig.run();
  CHECK(right);
  const microbatch::TimePoint none{};
  if (stamped)
    CHECK(stamps ==
          std::vector{rig.start + std::chrono::seconds(1), rig.start + std::chrono::seconds(2)});
  else
    CHECK(stamps == std::vector{none, none});
  (void)rig.close();
}
