// Emitters of the user's own that break their contract: an error path, no spin, close still ends.

#include <algorithm>
#include <stdexcept>

#include "support/rig.hpp"

using namespace microbatch;
using namespace std::chrono_literals;
using test::Rig;
using test::Windows;

namespace {

/// A few turns; a spin would be thousands.
constexpr std::size_t few = 12;

void check_reported(const Rig<>& rig) {
  REQUIRE(!rig.errors.empty());
  for (const auto& error : rig.errors) CHECK(error.where == BackgroundError::Where::emitter);
}

struct ThrowsWhenAsked {
  Readiness window_ready(Pending<int>& pending, TimePoint) {
    if (!pending.empty()) throw std::runtime_error("no verdict");
    return {.at_items = 1};
  }
};

struct InThePast {
  Readiness window_ready(Pending<int>& pending, TimePoint now) {
    return {.at_items = pending.size() + 1, .at = now - 1s};
  }
};

struct NeverReady {
  Readiness window_ready(Pending<int>&, TimePoint) { return {}; }
};

struct TakesNothing {
  Readiness window_ready(Pending<int>& pending, TimePoint) { return {.ready = !pending.empty()}; }
  void query(Pending<int>&, Draft<int>&, const Readiness&) {}
};

struct TakesTwice {
  Readiness window_ready(Pending<int>& pending, TimePoint) { return {.ready = !pending.empty()}; }
  void query(Pending<int>&, Draft<int>& draft, const Readiness&) {
    draft.take(0);
    draft.take(0);
  }
};

struct TakesOutOfRange {
  Readiness window_ready(Pending<int>& pending, TimePoint) { return {.ready = !pending.empty()}; }
  void query(Pending<int>& pending, Draft<int>& draft, const Readiness&) {
    draft.take(pending.size());
  }
};

struct TakesTooMany {
  Readiness window_ready(Pending<int>& pending, TimePoint) { return {.ready = !pending.empty()}; }
  void query(Pending<int>& pending, Draft<int>& draft, const Readiness&) {
    draft.take_front(pending.size() + 1);
  }
};

struct ThrowsOnEmit {
  Readiness window_ready(Pending<int>& pending, TimePoint) { return {.ready = !pending.empty()}; }
  void on_emit(Draft<int>&, const Readiness&) { throw std::runtime_error("no emit"); }
};

/// Sweeps no more than two at a time, and then can take none of them.
struct StuckAtItsLimit {
  Readiness window_ready(Pending<int>& pending, TimePoint) {
    return {.ready = pending.size() >= 2, .limit = 2, .at_items = 2};
  }
  void query(Pending<int>&, Draft<int>&, const Readiness&) { throw std::runtime_error("no query"); }
};

/// Never wants a partial window.
struct NoFlush {
  Readiness window_ready(Pending<int>&, TimePoint) { return {.limit = 2, .at_items = 100}; }
  Readiness flush(Pending<int>&, TimePoint) { return {}; }
};

}  // namespace

TEST_CASE("An emitter that throws is reported, asked again when something comes, and closes",
          "[emitter]") {
  Rig rig;
  rig.consume(ThrowsWhenAsked{});
  rig.append(1, 2);
  CHECK(rig.run() <= few);
  check_reported(rig);
  const auto errors = rig.errors.size();
  CHECK(rig.run() == 0);
  CHECK(rig.errors.size() == errors);
  rig.append(3);
  CHECK(rig.run() <= few);
  CHECK(rig.errors.size() > errors);
  CHECK(rig.windows.empty());
  rig.close();
  CHECK(rig.flat() == std::vector{1, 2, 3});
}

TEST_CASE("An emitter that throws when it is first asked is an error at construction",
          "[emitter]") {
  struct ThrowsAtOnce {
    Readiness window_ready(Pending<int>&, TimePoint) { throw std::runtime_error("no verdict"); }
  };
  Rig rig;
  CHECK_THROWS_WITH(rig.consume(ThrowsAtOnce{}), "no verdict");
  rig.consume(CountWindow{1});
  rig.close();
}

TEST_CASE("An emitter that is not ready until a time in the past is reported, and does not spin",
          "[emitter]") {
  testing::ManualClock clock;
  Stream<int> stream({.clock = clock});
  std::vector<BackgroundError> errors;
  std::vector<int> seen;
  Engine<int> engine(
      stream, InThePast{},
      [&](std::span<const int> items) { seen.insert(seen.end(), items.begin(), items.end()); },
      {.on_error = [&](const BackgroundError& error) { errors.push_back(error); }});
  REQUIRE(stream.append(1) == AppendResult::accepted);
  CHECK(engine.step(clock.now()) > clock.now());
  REQUIRE(!errors.empty());
  CHECK(errors[0].where == BackgroundError::Where::emitter);
  CHECK_THAT(errors[0].text, ContainsSubstring("past"));
  engine.close();
  (void)engine.step(clock.now());
  CHECK(engine.finished());
  CHECK(seen == std::vector{1});
}

TEST_CASE("An emitter that is never ready still flushes and closes", "[emitter]") {
  Rig rig;
  rig.consume(NeverReady{});
  rig.append(1, 2);
  CHECK(rig.run() <= few);
  rig.at(1h);
  CHECK(rig.windows.empty());
  rig.consumer->flush();
  CHECK(rig.items() == Windows<>{{1, 2}});
  rig.append(3);
  rig.close();
  CHECK(rig.items() == Windows<>{{1, 2}, {3}});
  CHECK(rig.errors.empty());
}

TEMPLATE_TEST_CASE("An emitter whose windows err is reported, and close goes on without it",
                   "[emitter]", TakesTwice, TakesOutOfRange, TakesTooMany, ThrowsOnEmit,
                   StuckAtItsLimit) {
  Rig rig;
  rig.consume(TestType{});
  rig.append(1, 2, 3, 4, 5);
  CHECK(rig.run() <= few);
  CHECK(rig.run() == 0);
  CHECK(rig.stats().pending == 5);
  check_reported(rig);
  rig.append(6);
  CHECK(rig.run() <= few);
  rig.consumer->flush();
  CHECK(rig.calls.empty());
  CHECK(rig.stats().pending == 6);
  rig.close();
  CHECK(rig.flat() == std::vector{1, 2, 3, 4, 5, 6});
  REQUIRE(!rig.windows.empty());
  CHECK(rig.windows[0].reason == Reason::close);
}

TEMPLATE_TEST_CASE("An emitter that lets nothing go makes no window, and close hands back",
                   "[emitter]", TakesNothing, NoFlush) {
  Rig rig;
  rig.consume(TestType{});
  rig.append(1, 2, 3, 4, 5);
  CHECK(rig.run() <= few);
  CHECK(rig.run() == 0);
  rig.append(6);
  CHECK(rig.run() <= few);
  rig.consumer->flush();
  CHECK(rig.stats().pending == 6);
  const auto result = rig.close();
  CHECK(rig.calls.empty());
  CHECK(rig.errors.empty());
  CHECK(result.handed_back == std::vector{1, 2, 3, 4, 5, 6});
}

TEST_CASE("An emitter that errs once goes on with the same items", "[emitter]") {
  struct ErrsOnce {
    bool* err;
    Readiness window_ready(Pending<int>& pending, TimePoint) {
      return {.ready = pending.size() >= 2, .limit = 2, .at_items = 2};
    }
    void query(Pending<int>&, Draft<int>& draft, const Readiness&) {
      draft.take(0);
      draft.take(std::exchange(*err, false) ? 0 : 1);
    }
  };
  bool err = true;
  Rig rig;
  rig.consume(ErrsOnce{&err});
  rig.append(1, 2);
  rig.run();
  CHECK(rig.windows.empty());
  CHECK(rig.errors.size() == 1);
  rig.append(3);
  rig.run();
  CHECK(rig.items() == Windows<>{{1, 2}});
  rig.stop();
}

TEST_CASE("An emitter whose on_commit throws is reported, and the window has ended all the same",
          "[emitter]") {
  struct ThrowsOnCommit : CountWindow {
    using CountWindow::CountWindow;
    void on_commit(Window<int>&) { throw std::runtime_error("no commit"); }
  };
  Rig rig;
  rig.consume(ThrowsOnCommit{2});
  rig.append(1, 2, 3, 4);
  rig.run();
  CHECK(rig.items() == Windows<>{{1, 2}, {3, 4}});
  CHECK(rig.errors.size() == 2);
  check_reported(rig);
  rig.close();
}

TEST_CASE("A window's end is told once: committed, or undone", "[emitter]") {
  struct Ends : CountWindow {
    std::vector<std::string>* told;
    Ends(std::size_t n, std::vector<std::string>* to) : CountWindow(n), told(to) {}
    void on_commit(Window<int>& window) { told->push_back(fmt::format("commit {}", window[0])); }
    void on_undo(Window<int>& window) { told->push_back(fmt::format("undo {}", window[0])); }
  };
  std::vector<std::string> told;
  Rig rig;
  std::size_t failures = 0;
  rig.consume(Ends{2, &told}, [&](Window<int>&) {
    if (failures > 0) {
      --failures;
      throw TransientError("down");
    }
  });
  rig.append(1, 2);
  rig.run();
  CHECK(told == std::vector<std::string>{"commit 1"});
  failures = 1;
  rig.append(3, 4);
  rig.run();
  CHECK(told.size() == 1);  // it waits for its retry
  rig.pass_until(1s);
  CHECK(told == std::vector<std::string>{"commit 1", "commit 3"});
  failures = 1;
  rig.append(5, 6);
  rig.run();
  CHECK(rig.stop().handed_back == std::vector{5, 6});
  CHECK(told == std::vector<std::string>{"commit 1", "commit 3", "undo 5"});
}
