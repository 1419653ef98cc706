#include <microbatch/core/draft.hpp>

#include <vector>

#include "support/catch.hpp"
#include "support/pending_items.hpp"

using namespace microbatch;
using namespace std::chrono_literals;

namespace {

struct Five : test::PendingItems<int> {
  Five() {
    for (int i = 0; i < 5; ++i) add(i);
    draft.begin(backlog());
  }
  Draft<int> draft;
};

}  // namespace

TEST_CASE("Draft: it takes from the front, in several goes", "[draft]") {
  Five pending;
  CHECK(pending.draft.empty());
  pending.draft.take_front(1);
  pending.draft.take_front(2);
  CHECK(pending.draft.size() == 3);
  CHECK(pending.leave(pending.draft) == std::vector{0, 1, 2});
  CHECK(pending.items() == std::vector{3, 4});
}

TEST_CASE("Draft: picks leave in the order in which they were named", "[draft]") {
  Five pending;
  pending.draft.take(4);
  pending.draft.take(0);
  pending.draft.take(2);
  CHECK(pending.draft.size() == 3);
  CHECK(pending.leave(pending.draft) == std::vector{4, 0, 2});
  CHECK(pending.items() == std::vector{1, 3});
}

TEST_CASE("Draft: the front goes before picks", "[draft]") {
  Five pending;
  pending.draft.take_front(2);
  pending.draft.take(4);
  CHECK(pending.leave(pending.draft) == std::vector{0, 1, 4});
  CHECK(pending.items() == std::vector{2, 3});
}

TEST_CASE("Draft: discarded items leave by another way, and are no part of the window", "[draft]") {
  Five pending;
  pending.draft.take(1);
  pending.draft.discard(0);
  pending.draft.discard(3);
  CHECK(pending.draft.size() == 1);
  CHECK(pending.draft.discards());
  CHECK(pending.leave(pending.draft) == std::vector{1});
  CHECK(pending.discarded() == std::vector{0, 3});
  CHECK(pending.items() == std::vector{2, 4});
}

TEST_CASE("Draft: an item named twice is a UsageError, and nothing has left", "[draft]") {
  Five pending;
  SECTION("picked twice") {
    pending.draft.take(1);
    pending.draft.take(1);
  }
  SECTION("picked and discarded") {
    pending.draft.take(1);
    pending.draft.discard(1);
  }
  SECTION("in the front and picked") {
    pending.draft.take_front(2);
    pending.draft.take(1);
  }
  CHECK_THROWS_WITH(pending.leave(pending.draft), ContainsSubstring("named twice"));
  CHECK(pending.items() == std::vector{0, 1, 2, 3, 4});
  CHECK(pending->first_position() == 0);
}

TEST_CASE("Draft: what is not pending is a UsageError that tells how many are", "[draft]") {
  Five pending;
  CHECK_THROWS_WITH(pending.draft.take(5), ContainsSubstring("index 5 where 5 items"));
  CHECK_THROWS_AS(pending.draft.discard(5), UsageError);
  CHECK_THROWS_AS(pending.draft.take_front(6), UsageError);
  CHECK_THROWS_AS(pending.draft.take_front(npos), UsageError);
  pending.draft.take_front(3);
  CHECK_THROWS_AS(pending.draft.take_front(3), UsageError);
  CHECK_THROWS_AS(pending.draft.take_front(npos), UsageError);
  CHECK(pending.draft.size() == 3);
  const BucketId bucket = pending->open_bucket();
  CHECK_THROWS_AS(pending.draft.take_from(bucket, 1), UsageError);
}

TEST_CASE("Draft: from the front or from a bucket, not both", "[draft]") {
  Five pending;
  const BucketId bucket = pending->open_bucket();
  pending->route_front(bucket);
  pending.draft.begin(pending.backlog());
  pending.draft.take_from(bucket, 1);
  SECTION("front") { pending.draft.take_front(1); }
  SECTION("pick") { pending.draft.take(0); }
  CHECK_THROWS_AS(pending.leave(pending.draft), UsageError);
  CHECK(pending->total() == 5);
}

TEST_CASE("Draft: bounds are those that were set, and a new draft has none", "[draft]") {
  Five pending;
  CHECK_FALSE(pending.draft.bounds().has_value());
  pending.draft.set_bounds(TimePoint(1s), TimePoint(2s));
  REQUIRE(pending.draft.bounds().has_value());
  CHECK(pending.draft.bounds()->first == TimePoint(1s));
  CHECK(pending.draft.bounds()->second == TimePoint(2s));
  pending.draft.take(0);
  pending.draft.discard(1);
  pending.draft.begin(pending.backlog());
  CHECK_FALSE(pending.draft.bounds().has_value());
  CHECK(pending.draft.empty());
  CHECK_FALSE(pending.draft.discards());
}
