#include <microbatch/delivery/retry_plan.hpp>

#include <algorithm>
#include <functional>
#include <random>
#include <set>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "support/catch.hpp"

using namespace microbatch;
using detail::RetryPlan;

namespace {

using Range = std::pair<std::uint32_t, std::uint32_t>;
using Ranges = std::vector<Range>;

std::exception_ptr some_error() { return std::make_exception_ptr(std::runtime_error("failed")); }

/// A plan, and what was tried and what died, in order.
struct Trial {
  explicit Trial(std::uint32_t size, FailurePolicy p = {}) : policy(std::move(p)) {
    plan.start(size);
  }

  Range take() {
    const auto& part = plan.take();
    tried.emplace_back(part.begin, part.end);
    return tried.back();
  }
  void fail(Failure kind = Failure::poison) {
    plan.failed(some_error(), kind, policy, evidence, bury());
  }
  void succeed() {
    ++evidence.successes;
    plan.succeeded(bury());
  }
  /// Until the window has ended. Returns the calls it took.
  std::size_t finish(const std::set<std::uint32_t>& poison) {
    for (std::size_t call = 0; call < 1000; ++call) {
      if (plan.next() == RetryPlan::Next::wait) plan.resume();
      if (plan.next() == RetryPlan::Next::done) return call;
      const auto [begin, end] = take();
      if (poison.lower_bound(begin) != poison.lower_bound(end))
        fail();
      else
        succeed();
    }
    FAIL("the plan does not end");
    return 0;
  }

  FailurePolicy policy;
  RetryPlan plan;
  RetryPlan::Evidence evidence;
  Ranges tried;
  Ranges dead;

 private:
  std::function<void(const RetryPlan::Part&)> bury() {
    return [this](const RetryPlan::Part& part) {
      dead.emplace_back(part.begin, part.end);
      CHECK(part.error != nullptr);
    };
  }
};

}  // namespace

TEST_CASE("RetryPlan: a window that succeeds is done after one attempt", "[retry]") {
  Trial trial(8);
  CHECK(trial.plan.next() == RetryPlan::Next::attempt);
  CHECK(trial.take() == Range{0, 8});
  CHECK(trial.plan.part_number() == 0);
  trial.succeed();
  CHECK(trial.plan.next() == RetryPlan::Next::done);
}

TEST_CASE("RetryPlan: the whole window is tried max_attempts times, with a wait before each",
          "[retry]") {
  Trial trial(8);
  trial.evidence.recent = true;
  for (std::uint32_t attempt = 1; attempt <= 3; ++attempt) {
    CHECK(trial.plan.next() == RetryPlan::Next::attempt);
    CHECK(trial.take() == Range{0, 8});
    CHECK(trial.plan.failures() == std::max(1u, attempt - 1));
    trial.fail();
    CHECK(trial.plan.failures() == attempt);
    if (attempt == 3) break;
    CHECK(trial.plan.next() == RetryPlan::Next::wait);
    trial.plan.resume();
  }
  // A success elsewhere a moment ago: taken apart without a wait.
  CHECK(trial.plan.next() == RetryPlan::Next::attempt);
  CHECK(trial.take() == Range{0, 4});
  CHECK(trial.plan.part_number() == 1);
  CHECK(trial.dead.empty());
}

TEST_CASE("RetryPlan: with evidence the one bad item of eight dies in 7 calls", "[retry]") {
  const std::uint32_t bad = GENERATE(0u, 1u, 2u, 3u, 4u, 5u, 6u, 7u);
  Trial trial(8, {.max_attempts = 1});
  trial.evidence = {.successes = 5, .recent = true};
  CHECK(trial.finish({bad}) == 7);
  CHECK(trial.dead == Ranges{{bad, bad + 1}});
}

TEST_CASE("RetryPlan: without a success anywhere nothing dies, one probe per wait", "[retry]") {
  Trial trial(8, {.max_attempts = 1});
  for (int outage = 0; outage < 100; ++outage) {
    REQUIRE(trial.plan.next() == RetryPlan::Next::attempt);
    trial.take();
    trial.fail();
    REQUIRE(trial.plan.next() == RetryPlan::Next::wait);
    REQUIRE(trial.plan.stalled());
    REQUIRE(trial.dead.empty());
    trial.plan.resume();
  }
  CHECK(trial.plan.failures() == 100);
  trial.finish({});
  CHECK(trial.dead.empty());
}

TEST_CASE("RetryPlan: after the outage the bad items die, and only they", "[retry]") {
  Trial trial(16, {.max_attempts = 2});
  for (int outage = 0; outage < 20; ++outage) {
    trial.take();
    trial.fail();
    trial.plan.resume();
  }
  trial.finish({3, 11, 12});
  std::sort(trial.dead.begin(), trial.dead.end());
  CHECK(trial.dead == Ranges{{3, 4}, {11, 12}, {12, 13}});
}

TEST_CASE("RetryPlan: a success of another window is evidence", "[retry]") {
  Trial trial(1, {.max_attempts = 1});
  trial.take();
  trial.fail();
  CHECK(trial.plan.stalled());
  CHECK(trial.dead.empty());
  trial.evidence.successes = 1;
  trial.plan.resume();
  trial.take();
  trial.fail();
  CHECK(trial.dead == Ranges{{0, 1}});
  CHECK(trial.plan.next() == RetryPlan::Next::done);
}

TEST_CASE("RetryPlan: a success from before the item's failure is none", "[retry]") {
  Trial trial(1, {.max_attempts = 1});
  trial.evidence.successes = 100;  // long ago
  trial.take();
  trial.fail();
  CHECK(trial.dead.empty());
  CHECK(trial.plan.stalled());
}

TEST_CASE("RetryPlan: an outage that begins with a transient failure makes no evidence of old ones",
          "[retry]") {
  Trial trial(1, {.max_attempts = 2});
  trial.evidence.successes = 100;  // long ago
  trial.take();
  trial.fail(Failure::transient);
  trial.plan.resume();
  trial.take();
  trial.fail();
  CHECK(trial.dead.empty());
  CHECK(trial.plan.next() == RetryPlan::Next::wait);
}

TEST_CASE("RetryPlan: an item that failed alone between two successes dies without another call",
          "[retry]") {
  Trial trial(4, {.max_attempts = 1});
  trial.evidence = {.successes = 5, .recent = true};
  trial.take();
  trial.fail();
  CHECK(trial.take() == Range{0, 2});
  trial.succeed();
  CHECK(trial.take() == Range{2, 4});
  trial.fail();
  CHECK(trial.take() == Range{2, 3});
  trial.fail();
  CHECK(trial.dead.empty());  // the outage may have begun
  CHECK(trial.take() == Range{3, 4});
  SECTION("its neighbour succeeds") {
    trial.succeed();
    CHECK(trial.dead == Ranges{{2, 3}});
    CHECK(trial.plan.next() == RetryPlan::Next::done);
  }
  SECTION("its neighbour fails, too: after a wait both are tried again") {
    trial.fail();
    CHECK(trial.dead.empty());
    CHECK(trial.plan.next() == RetryPlan::Next::wait);
    trial.finish({});
    CHECK(trial.dead.empty());
  }
}

TEST_CASE("RetryPlan: isolated always, items die without evidence", "[retry]") {
  Trial trial(4, {.max_attempts = 1, .isolate = Isolate::always});
  CHECK(trial.finish({0, 1, 2, 3}) == 7);
  CHECK(trial.dead.size() == 4);
}

TEST_CASE("RetryPlan: isolated never, the whole window dies after its attempts", "[retry]") {
  Trial trial(4, {.max_attempts = 3, .isolate = Isolate::off});
  trial.evidence = {.successes = 1, .recent = true};
  CHECK(trial.finish({2}) == 3);
  CHECK(trial.dead == Ranges{{0, 4}});
  CHECK(trial.tried == Ranges(3, {0, 4}));
}

TEST_CASE("RetryPlan: a transient failure never takes a window apart", "[retry]") {
  Trial trial(8, {.max_attempts = 1, .max_transient_attempts = 10});
  trial.evidence.recent = true;
  for (int i = 1; i <= 10; ++i) {
    CHECK(trial.plan.next() == RetryPlan::Next::attempt);
    trial.take();
    trial.evidence.successes += 10;
    trial.fail(Failure::transient);
    if (i == 10) break;
    CHECK(trial.plan.next() == RetryPlan::Next::wait);
    trial.plan.resume();
  }
  CHECK(trial.tried == Ranges(10, {0, 8}));
  CHECK(trial.dead == Ranges{{0, 8}});
  CHECK(trial.plan.next() == RetryPlan::Next::done);
}

TEST_CASE("RetryPlan: transient without bound is tried for ever", "[retry]") {
  Trial trial(2, {.max_transient_attempts = FailurePolicy::unbounded});
  for (int i = 0; i < 1000; ++i) {
    trial.take();
    trial.fail(Failure::transient);
    REQUIRE(trial.plan.next() == RetryPlan::Next::wait);
    trial.plan.resume();
  }
  CHECK(trial.dead.empty());
}

TEST_CASE("RetryPlan: an item that was held is tried again alone", "[retry]") {
  Trial trial(4);
  trial.take();
  trial.plan.hold_item(2, some_error());
  ++trial.evidence.successes;
  trial.plan.succeeded_in_part();
  CHECK(trial.plan.next() == RetryPlan::Next::wait);
  trial.plan.resume();
  CHECK(trial.take() == Range{2, 3});
  trial.succeed();
  CHECK(trial.plan.next() == RetryPlan::Next::done);
}

TEST_CASE("RetryPlan: a part that was not run counts as no attempt", "[retry]") {
  Trial trial(4);
  CHECK(trial.plan.take().attempts == 1);
  trial.plan.put_back();
  CHECK(trial.plan.next() == RetryPlan::Next::attempt);
  CHECK(trial.plan.take().attempts == 1);
  trial.succeed();
  CHECK(trial.plan.next() == RetryPlan::Next::done);
}

TEST_CASE("RetryPlan: while the stream drains, an outage ends after a bounded number of calls",
          "[retry]") {
  const std::uint32_t size = GENERATE(1u, 2u, 8u, 1000u);
  Trial trial(size, {.max_attempts = 1});
  trial.evidence.last_chance = true;
  std::set<std::uint32_t> all;
  for (std::uint32_t i = 0; i < size; ++i) all.insert(i);
  CHECK(trial.finish(all) <= 20);
  std::uint32_t dead = 0;
  for (const auto& [begin, end] : trial.dead) dead += end - begin;
  CHECK(dead == size);
}

namespace {

/// The obvious model: every item by itself. It knows nothing of queues and halves; it only says
/// what must hold of an item, whichever parts the plan makes of the window.
class Model {
 public:
  Model(std::uint32_t size, const FailurePolicy& policy) : policy_(policy), items_(size) {
    for (Item& item : items_) item.part_size = size;
  }

  void tried(const RetryPlan::Part& part) {
    REQUIRE(part.begin < part.end);
    REQUIRE(part.end <= items_.size());
    const bool whole = part.size() == items_.size();
    for (std::uint32_t i = part.begin; i < part.end; ++i) {
      Item& item = items_[i];
      REQUIRE(item.alive);
      REQUIRE(part.attempts == ++item.attempts);
      // Apart from others only after all attempts in the whole window, unless it was held alone.
      if (!whole) REQUIRE((item.attempts > policy_.max_attempts || item.held));
      // A part never grows, and shrinks by halves.
      REQUIRE(part.size() <= item.part_size);
      if (part.size() < item.part_size && !item.held)
        REQUIRE(part.size() - item.part_size / 2 <= item.part_size % 2);
      item.part_size = part.size();
    }
  }
  void succeeded(std::uint32_t begin, std::uint32_t end) {
    for (std::uint32_t i = begin; i < end; ++i) items_[i].alive = false;
  }
  void held(std::uint32_t i) { items_[i].held = true; }
  void died(const RetryPlan::Part& dead, Failure kind, const RetryPlan::Evidence& evidence) {
    for (std::uint32_t i = dead.begin; i < dead.end; ++i) {
      Item& item = items_[i];
      REQUIRE(item.alive);
      item.alive = false;
      REQUIRE(dead.attempts == item.attempts);
      if (kind == Failure::transient) {
        REQUIRE(item.attempts >= policy_.max_transient_attempts);
        continue;
      }
      if (evidence.last_chance) continue;
      REQUIRE((item.attempts >= policy_.max_attempts || item.held));
      if (policy_.isolate == Isolate::off) continue;
      REQUIRE(dead.size() == 1);  // alone
      REQUIRE((policy_.isolate == Isolate::always || evidence.recent ||
               evidence.successes > item.successes_at_first_failure));
    }
  }
  void failed(std::uint32_t begin, std::uint32_t end, std::uint64_t successes) {
    for (std::uint32_t i = begin; i < end; ++i)
      if (items_[i].attempts == 1) items_[i].successes_at_first_failure = successes;
  }
  [[nodiscard]] std::size_t alive() const {
    return static_cast<std::size_t>(
        std::count_if(items_.begin(), items_.end(), [](const Item& item) { return item.alive; }));
  }

 private:
  struct Item {
    bool alive = true;
    bool held = false;
    std::uint32_t attempts = 0;
    std::uint32_t part_size = 0;
    std::uint64_t successes_at_first_failure = 0;
  };

  const FailurePolicy& policy_;
  std::vector<Item> items_;
};

}  // namespace

TEST_CASE("RetryPlan: random scripts against a model of every item by itself", "[retry]") {
  const unsigned seed = std::random_device{}();
  CAPTURE(seed);
  std::mt19937 random(seed);
  const auto below = [&](std::uint32_t n) { return static_cast<std::uint32_t>(random() % n); };
  RetryPlan plan;  // recycled, as the engine does
  for (int script = 0; script < 3000; ++script) {
    CAPTURE(script);
    const std::uint32_t size = 1 + below(below(4) == 0 ? 100 : 12);
    FailurePolicy policy;
    policy.max_attempts = 1 + below(4);
    policy.max_transient_attempts = below(3) == 0 ? FailurePolicy::unbounded : 1 + below(6);
    const std::uint32_t isolate = below(6);
    policy.isolate = isolate == 0   ? Isolate::off
                     : isolate == 1 ? Isolate::always
                                    : Isolate::when_others_succeed;
    std::set<std::uint32_t> poison;
    for (std::uint32_t n = below(4); n-- > 0;) poison.insert(below(size));
    const int outage = static_cast<int>(below(3) == 0 ? below(30) : 0);  // calls that fail anyway
    const int transient_until = static_cast<int>(below(4) == 0 ? below(10) : 0);
    const bool others_go_on = below(2) == 0;
    // A poison item of a stream where nothing else happens waits for evidence until the drain.
    const int drain_after = below(4) == 0 ? static_cast<int>(below(40)) : 300;
    CAPTURE(size, policy.max_attempts, policy.max_transient_attempts, isolate, poison.size(),
            outage, transient_until, others_go_on, drain_after);

    plan.start(size);
    Model model(size, policy);
    RetryPlan::Evidence evidence{.successes = below(2) * 7};
    std::set<std::uint32_t> died;
    int call = 0;
    for (; plan.next() != RetryPlan::Next::done; ++call) {
      REQUIRE(call < 5000);  // it ends
      if (others_go_on && call >= outage) evidence.successes += below(2);
      evidence.recent = evidence.successes > 0 && call >= outage;
      evidence.last_chance = call >= drain_after;
      if (plan.next() == RetryPlan::Next::wait) plan.resume();
      REQUIRE(plan.next() == RetryPlan::Next::attempt);
      if (below(20) == 0) {  // the executor refuses: as if nothing had been
        plan.take();
        plan.put_back();
      }
      const RetryPlan::Part part = plan.take();
      model.tried(part);
      const bool poisoned = poison.lower_bound(part.begin) != poison.lower_bound(part.end);
      if (call < outage || poisoned) {
        const Failure kind = call < transient_until ? Failure::transient : Failure::poison;
        model.failed(part.begin, part.end, evidence.successes);
        plan.failed(some_error(), kind, policy, evidence, [&](const RetryPlan::Part& dead) {
          for (std::uint32_t i = dead.begin; i < dead.end; ++i) died.insert(i);
          model.died(dead, kind, evidence);
        });
        continue;
      }
      ++evidence.successes;
      if (part.size() > 1 && below(30) == 0) {  // one item failed by itself, and is held
        const std::uint32_t held = part.begin + below(part.size());
        model.held(held);
        model.succeeded(part.begin, held);
        model.succeeded(held + 1, part.end);
        plan.hold_item(held, some_error());
        plan.succeeded_in_part();
        continue;
      }
      model.succeeded(part.begin, part.end);
      plan.succeeded([&](const RetryPlan::Part& dead) {
        for (std::uint32_t i = dead.begin; i < dead.end; ++i) died.insert(i);
        model.died(dead, Failure::poison, evidence);
      });
    }
    REQUIRE(model.alive() == 0);  // every item has ended, by died() or succeeded(), never by both
    // Without an outage that evidence could mistake, and with isolation, only the poison dies.
    if (policy.isolate == Isolate::when_others_succeed && outage == 0 && transient_until == 0 &&
        drain_after > call)
      REQUIRE(std::includes(poison.begin(), poison.end(), died.begin(), died.end()));
  }
}
