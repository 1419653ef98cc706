// What callbacks may do, and what is left when stream and consumer are gone.

#include <algorithm>
#include <numeric>
#include <stdexcept>

#include "support/rig.hpp"

using namespace microbatch;
using namespace std::chrono_literals;
using test::Rig;
using test::Windows;

TEST_CASE("guarantee 8: a callback that waits for its own full stream gets an error",
          "[guarantee]") {
  Rig rig({.capacity = 2});
  std::vector<AppendResult> answers;
  int usage_errors = 0;
  rig.consume(CountWindow{2}, [&](Window<int>&) {
    if (!answers.empty()) return;
    answers.push_back(rig.stream.append_for(9, 20ms));
    if (answers[0] != AppendResult::would_deadlock) return;  // the others would wait for ever
    answers.push_back(rig.stream.append(9));
    answers.push_back(rig.stream.append(9, [](const std::exception_ptr&) { FAIL("it ended"); }));
    answers.push_back(rig.stream.append(9, ack).result());
    answers.push_back(rig.stream.append_range(std::vector{9, 9}).result);
    answers.push_back(rig.stream.producer().append(9));
    for (const auto& wait : {+[](Consumer<int>& consumer) { consumer.flush(); },
                             +[](Consumer<int>& consumer) { (void)consumer.flush(1h); },
                             +[](Consumer<int>& consumer) { (void)consumer.close(); }}) {
      try {
        wait(*rig.consumer);
      } catch (const UsageError&) {
        ++usage_errors;
      }
    }
  });
  rig.append(1, 2);
  rig.run();
  CHECK(answers == std::vector(6, AppendResult::would_deadlock));
  CHECK(usage_errors == 3);
  CHECK(rig.items() == Windows<>{{1, 2}});
  rig.append(3, 4);  // nothing was held back by all that
  rig.run();
  CHECK(rig.items() == Windows<>{{1, 2}, {3, 4}});
  rig.close();
  CHECK(rig.stats().refused_would_deadlock == 6);
}

TEST_CASE("guarantee 9: a callback that throws anything goes on, and poison does not block others",
          "[guarantee]") {
  const std::vector<int> poison{0, 1, 2, 7};  // the whole first window: no success comes before it
  const auto is_poison = [&](int item) {
    return std::find(poison.begin(), poison.end(), item) != poison.end();
  };
  Rig rig;
  rig.consume(CountWindow{3}, [&](Window<int>& window) {
    if (window.attempt() == 1 && window.sequence() % 2 == 0) throw 42;  // is no std::exception
    if (std::any_of(window.begin(), window.end(), is_poison))
      throw std::runtime_error("cannot parse it");
  });
  rig.append_numbers(0, 30);
  rig.pass_until(120s, 100ms);
  CHECK(rig.stats().delivered == 26);
  CHECK(rig.stats().pending == 0);

  std::vector<int> dead;
  for (const auto& letter : rig.consumer->take_dead_letters()) {
    CHECK(letter.error == "cannot parse it");
    dead.push_back(letter.item);
  }
  std::sort(dead.begin(), dead.end());
  CHECK(dead == poison);
  auto all = rig.flat();
  std::sort(all.begin(), all.end());
  std::vector<int> expected(30);
  std::iota(expected.begin(), expected.end(), 0);
  std::erase_if(expected, is_poison);
  CHECK(all == expected);
  rig.close();
}

TEST_CASE("guarantee 10: producers get `closed` and keep their item when the stream is gone",
          "[guarantee]") {
  std::vector<std::string> delivered;
  int ends = 0;
  testing::ManualClock clock;
  testing::ManualExecutor executor;
  std::optional<Stream<std::string>> stream(StreamOptions<std::string>{.clock = clock});
  std::optional<Consumer<std::string>> consumer;
  auto producer = stream->producer();
  const auto consume = [&] {
    consumer.emplace(streaming(*stream, CountWindow{2},
                               [&](Window<std::string>& window) {
                                 delivered.insert(delivered.end(), window.begin(), window.end());
                               },
                               {.executor = executor}));
  };
  std::vector<std::string> expected{"one", "two", "three"};
  bool consumer_first = false;
  SECTION("it had no consumer") { expected.clear(); }
  SECTION("the consumer goes first") {
    consume();
    consumer_first = true;
  }
  SECTION("the stream goes first") { consume(); }
  for (const char* item : {"one", "two", "three"})
    REQUIRE(producer.append(item, [&](const std::exception_ptr&) { ++ends; }) ==
            AppendResult::accepted);
  if (consumer_first) consumer.reset();
  stream.reset();
  consumer.reset();
  CHECK(delivered == expected);
  CHECK(ends == 3);

  std::string item = "late";
  CHECK(producer.append(std::move(item)) == AppendResult::closed);
  CHECK(producer.try_append(std::move(item)) == AppendResult::closed);
  CHECK(producer.append_for(std::move(item), 1h) == AppendResult::closed);
  CHECK(producer.append(item, ack).result() == AppendResult::closed);
  CHECK(producer.append_range(std::vector{item}) == RangeResult{AppendResult::closed, 0});
  CHECK(item == "late");  // NOLINT(bugprone-use-after-move): that is the point
}
