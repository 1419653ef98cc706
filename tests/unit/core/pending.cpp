#include <microbatch/core/pending.hpp>

#include <algorithm>
#include <deque>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/pending_items.hpp"

using namespace microbatch;
using namespace std::chrono_literals;
using test::PendingItems;

TEST_CASE("Pending: positions count every item and are never reused", "[pending]") {
  PendingItems<int> pending;
  CHECK(pending->empty());
  CHECK(pending->first_position() == 0);
  CHECK(pending->end_position() == 0);
  for (int i = 0; i < 5; ++i) pending.add(i);
  CHECK(pending->end_position() == 5);
  CHECK(pending.leave(3) == std::vector{0, 1, 2});
  CHECK(pending->first_position() == 3);
  CHECK(pending->end_position() == 5);
  CHECK((*pending)[0] == 3);
  CHECK(pending.leave(2) == std::vector{3, 4});
  CHECK(pending->first_position() == 5);
  pending.add(5);
  CHECK(pending->first_position() == 5);
  CHECK(pending->end_position() == 6);
}

TEST_CASE("Pending: what stays behind a pick takes new positions, in its old order", "[pending]") {
  PendingItems<int> pending;
  for (int i = 0; i < 5; ++i) pending.add(i);
  Draft<int> draft;
  draft.begin(pending.backlog());
  draft.take(3);
  draft.take(1);
  CHECK(pending.leave(draft) == std::vector{3, 1});
  CHECK(pending.items() == std::vector{0, 2, 4});
  CHECK(pending->first_position() >= 5);
  CHECK(pending->end_position() == pending->first_position() + 3);
}

TEST_CASE("Pending: stamps and weights stand beside their items, also after others left",
          "[pending]") {
  PendingItems<std::string> pending;
  pending.add_stamped("a", TimePoint(1s));
  pending.add_stamped("b", TimePoint(2s));
  pending.add_stamped("c", TimePoint(3s));
  CHECK(pending->stamped());
  CHECK(pending->stamp(1) == TimePoint(2s));
  pending.leave(1);
  CHECK(pending->stamp(0) == TimePoint(2s));
  Draft<std::string> draft;
  draft.begin(pending.backlog());
  draft.take(0);
  pending.leave(draft);
  CHECK(pending.items() == std::vector<std::string>{"c"});
  CHECK(pending->stamp(0) == TimePoint(3s));
  CHECK(pending->weight(0) == 0);
  pending.add_weighing("d", 7);
  CHECK(pending->weight(0) == 0);
  CHECK(pending->weight(1) == 7);
  CHECK(pending->stamp(1) == TimePoint{});
}

TEST_CASE("Pending: without stamps and weights there are none", "[pending]") {
  PendingItems<int> pending;
  pending.add(1);
  CHECK_FALSE(pending->stamped());
  CHECK(pending->stamp(0) == TimePoint{});
  CHECK(pending->weight(0) == 0);
}

TEST_CASE("Pending: a bucket keeps the order in which it was filled, and its stamps", "[pending]") {
  PendingItems<int> pending;
  for (int i = 0; i < 6; ++i) pending.add_stamped(i, TimePoint(i * 1s));
  const BucketId even = pending->open_bucket();
  const BucketId odd = pending->open_bucket();
  CHECK(even != odd);
  for (int i = 0; i < 5; ++i) pending->route_front(i % 2 == 0 ? even : odd);
  CHECK(pending->size() == 1);
  CHECK(pending->total() == 6);
  CHECK(pending->first_position() == 5);
  CHECK(pending->size(even) == 3);
  CHECK(pending->items(even)[2] == 4);
  CHECK(pending->items(odd)[1] == 3);
  CHECK(pending->stamp(odd, 1) == TimePoint(3s));

  Draft<int> draft;
  draft.begin(pending.backlog());
  draft.take_from(even, 2);
  CHECK(pending.leave(draft) == std::vector{0, 2});
  CHECK(pending->items(even)[0] == 4);
  CHECK(pending->stamp(even, 0) == TimePoint(4s));
  CHECK(pending->total() == 4);
}

TEST_CASE("Pending: the id of a closed bucket is given out again, empty", "[pending]") {
  PendingItems<int> pending;
  const BucketId first = pending->open_bucket();
  pending.add(1);
  pending->route_front(first);
  Draft<int> draft;
  draft.begin(pending.backlog());
  draft.take_from(first, 1);
  pending.leave(draft);
  pending->close_bucket(first);
  const BucketId second = pending->open_bucket();
  CHECK(second == first);
  CHECK(pending->size(second) == 0);
}

TEST_CASE("Pending: the oldest item of all is found, in the front or in a bucket", "[pending]") {
  PendingItems<int> pending;
  const BucketId late = pending->open_bucket();
  const BucketId early = pending->open_bucket();
  for (int i = 0; i < 3; ++i) pending.add_stamped(i, TimePoint(i * 1s));
  pending->route_front(early);
  pending->route_front(late);
  // The item in the front is younger than those in the buckets.
  REQUIRE(pending.backlog().oldest() != nullptr);
  CHECK((*pending.backlog().oldest())[0] == 0);
}

TEST_CASE("Pending: random adding, leaving, routing and picking against lists", "[pending]") {
  const unsigned seed = std::random_device{}();
  CAPTURE(seed);
  std::mt19937 random(seed);
  const auto below = [&](std::size_t n) {
    return std::uniform_int_distribution<std::size_t>(0, n - 1)(random);
  };
  PendingItems<std::unique_ptr<int>> pending;  // move-only
  std::deque<int> front;
  std::vector<std::deque<int>> buckets(3);
  std::vector<BucketId> ids;
  for (int i = 0; i < 3; ++i) ids.push_back(pending->open_bucket());
  std::uint64_t position = 0;
  int next = 0;
  for (int step = 0; step < 3000; ++step) {
    Draft<std::unique_ptr<int>> draft;
    draft.begin(pending.backlog());
    std::vector<int> expected;
    switch (below(5)) {
      case 0:
      case 1:
        for (std::size_t n = below(40); n-- > 0;) {
          front.push_back(next);
          pending.add(std::make_unique<int>(next++));
        }
        break;
      case 2: {
        if (front.empty()) break;
        const std::size_t n = 1 + below(front.size());
        draft.take_front(n);
        for (std::size_t i = 0; i < n; ++i) {
          expected.push_back(front.front());
          front.pop_front();
        }
        break;
      }
      case 3: {
        if (front.empty()) break;
        const std::size_t to = below(3);
        pending->route_front(ids[to]);
        buckets[to].push_back(front.front());
        front.pop_front();
        const std::size_t from = below(3);
        const std::size_t n = below(buckets[from].size() + 1);
        draft.begin(pending.backlog());
        draft.take_from(ids[from], n);
        for (std::size_t i = 0; i < n; ++i) {
          expected.push_back(buckets[from].front());
          buckets[from].pop_front();
        }
        break;
      }
      case 4: {
        if (front.empty()) break;
        std::vector<std::size_t> order(front.size());
        for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
        std::shuffle(order.begin(), order.end(), random);
        order.resize(1 + below(order.size()));
        for (const std::size_t i : order) {
          draft.take(i);
          expected.push_back(front[i]);
          front[i] = -1;
        }
        std::erase(front, -1);
        break;
      }
    }
    std::vector<int> left;
    for (const auto& item : pending.leave(draft)) left.push_back(*item);
    REQUIRE(left == expected);
    REQUIRE(pending->size() == front.size());
    for (std::size_t i = 0; i < front.size(); ++i) REQUIRE(*(*pending)[i] == front[i]);
    std::size_t total = front.size();
    for (std::size_t b = 0; b < 3; ++b) {
      total += buckets[b].size();
      REQUIRE(pending->size(ids[b]) == buckets[b].size());
      for (std::size_t i = 0; i < buckets[b].size(); ++i)
        REQUIRE(*pending->items(ids[b])[i] == buckets[b][i]);
    }
    REQUIRE(pending->total() == total);
    REQUIRE(pending->first_position() >= position);  // never back
    position = pending->first_position();
  }
}
