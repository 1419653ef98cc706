#include <microbatch/core/first_in_line.hpp>
#include <microbatch/core/key_map.hpp>

#include <array>
#include <map>
#include <random>
#include <string>

#include "support/catch.hpp"
#include "support/pending_items.hpp"

using namespace microbatch;
using namespace std::chrono_literals;

namespace {

/// Equal hashes for many keys.
struct Crowded {
  int value = 0;
  friend bool operator==(const Crowded&, const Crowded&) = default;
};

}  // namespace

template <>
struct std::hash<Crowded> {
  std::size_t operator()(const Crowded& key) const noexcept {
    return static_cast<std::size_t>(key.value % 7);
  }
};

TEMPLATE_TEST_CASE("KeyMap: behaves as a std::map, whatever is inserted and erased", "[windows]",
                   int, Crowded) {
  const auto seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937 random(seed);
  detail::KeyMap<TestType, int> map;
  std::map<int, int> model;
  for (int step = 0; step < 4'000; ++step) {
    const int number = static_cast<int>(random() % 300);
    const TestType key{number};
    const std::uint32_t slot = map.find(key);
    REQUIRE((slot != map.none) == model.contains(number));
    if (slot != map.none && random() % 2 == 0) {
      REQUIRE(map[slot] == model[number]);
      map.erase(slot);
      model.erase(number);
    } else {
      const auto [at, is_new] = map.insert(key, [&] { return step; });
      REQUIRE(is_new == !model.contains(number));
      model.try_emplace(number, step);
      REQUIRE(map[at] == model[number]);
      REQUIRE(map.key(at) == key);
    }
    REQUIRE(map.size() == model.size());
  }
  std::size_t seen = 0;
  map.for_each([&](const TestType&, int) { ++seen; });
  CHECK(seen == model.size());
}

TEST_CASE("KeyMap: text is looked up by views of it", "[windows]") {
  detail::KeyMap<std::string, int> map;
  (void)map.insert(std::string_view("one"), [] { return 1; });
  CHECK(map.find(std::string_view("one")) != map.none);
  CHECK(map.find(std::string_view("two")) == map.none);
}

TEST_CASE("FirstInLine: always the queue with the oldest front", "[windows]") {
  const auto seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937 random(seed);
  std::vector<std::vector<TimePoint>> queues(20);
  const auto front_of = [&](std::size_t id) {
    return queues[id].empty() ? never : queues[id].front();
  };
  detail::FirstInLine line;
  for (int step = 0; step < 5000; ++step) {
    const auto id = static_cast<std::uint32_t>(random() % queues.size());
    if (random() % 2 == 0) {
      queues[id].push_back(TimePoint(std::chrono::nanoseconds(step)));
      if (queues[id].size() == 1) line.note(front_of(id), id);
    } else if (!queues[id].empty()) {
      queues[id].erase(queues[id].begin());
      if (!queues[id].empty()) line.note(front_of(id), id);
    }
    if (random() % 8 != 0) continue;
    TimePoint oldest = never;
    for (std::size_t i = 0; i < queues.size(); ++i) oldest = std::min(oldest, front_of(i));
    const std::size_t answer = line.ask(queues.size(), front_of);
    REQUIRE((answer == queues.size() ? never : front_of(answer)) == oldest);
  }
}

TEST_CASE("Draft: what is taken stands before what is copied, and copies stay", "[windows]") {
  test::PendingItems<int> pending;
  for (int i = 0; i < 6; ++i) pending.add(i);
  Draft<int> draft;
  SECTION("of the front") {
    draft.begin(pending.backlog());
    draft.take_front(2);
    draft.copy_front(3);
    CHECK_THROWS_AS(draft.copy_front(2), UsageError);
    CHECK(draft.size() == 5);
    CHECK(pending.leave(draft) == std::vector{0, 1, 2, 3, 4});
    CHECK(pending.items() == std::vector{2, 3, 4, 5});
  }
  SECTION("of buckets") {
    const BucketId even = pending->open_bucket();
    const BucketId odd = pending->open_bucket();
    while (!pending->empty()) pending->route_front((*pending)[0] % 2 == 0 ? even : odd);
    draft.begin(pending.backlog());
    draft.take_from(even, 1);
    draft.take_from(odd, 3);
    draft.copy_from(even, 2);
    CHECK_THROWS_AS(draft.take_from(even, 1), UsageError);
    CHECK(pending.leave(draft) == std::vector{0, 1, 3, 5, 2, 4});
    CHECK(pending->size(even) == 2);
    CHECK(pending->total() == 2);
  }
}

TEST_CASE("Pending: one bucket merges into another, and runs are routed at once", "[windows]") {
  test::PendingItems<int> pending;
  for (int i = 0; i < 6; ++i) pending.add(i);
  const BucketId a = pending->open_bucket();
  const BucketId b = pending->open_bucket();
  pending->route_front(std::array{a, a, b, b, b});
  CHECK(pending->total() == 6);
  CHECK(pending->first_position() == 5);
  pending->merge(b, a);
  CHECK(pending->size(a) == 5);
  CHECK(pending->size(b) == 0);
  CHECK(pending->total() == 6);
  const Pending<int> part = pending->part(a, TimePoint(1s));
  CHECK(part.size() == 5);
  CHECK(part.total() == 5);
  CHECK(part[4] == 4);
  CHECK(part.first_position() == 0);
  CHECK(part.complete_before() == TimePoint(1s));
}

TEST_CASE("Backlog: a bucket is left with a buffer of about its own size", "[windows]") {
  test::PendingItems<int> pending;
  auto& backlog = pending.backlog();
  for (int i = 0; i < 1000; ++i) pending.add(i);
  detail::ItemBuffer<int> window;
  backlog.take_front(1000, window);  // a window that has been large
  window.clear();
  const std::size_t large = window.capacity();
  REQUIRE(large >= 1000);
  pending.add(1);
  const BucketId id = pending->open_bucket();
  pending->route_front(id);
  backlog.take_from(id, 1, window);
  CHECK(backlog.bucket(id).capacity() < 16);
  CHECK(window.capacity() == large);
}
