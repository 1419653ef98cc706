#include <microbatch/delivery/commit_tracker.hpp>

#include <algorithm>
#include <map>
#include <random>
#include <span>
#include <vector>

#include "support/catch.hpp"

using microbatch::Origin;
using microbatch::detail::CommitTracker;

namespace {

std::vector<Origin> collected(CommitTracker& tracker) {
  std::vector<Origin> commits;
  tracker.collect(commits);
  std::sort(commits.begin(), commits.end());
  return commits;
}

}  // namespace

TEST_CASE("CommitTracker: only the contiguous prefix that has ended is committed", "[commit]") {
  CommitTracker tracker;
  for (int i = 0; i < 5; ++i) tracker.expect({0, i});
  tracker.done({0, 2});
  tracker.done({0, 1});
  CHECK(collected(tracker).empty());
  tracker.done({0, 0});
  CHECK(collected(tracker) == std::vector<Origin>{{0, 2}});
  CHECK(collected(tracker).empty());  // told once
  tracker.done({0, 4});
  CHECK(collected(tracker).empty());
  tracker.done({0, 3});
  CHECK(collected(tracker) == std::vector<Origin>{{0, 4}});
}

TEST_CASE("CommitTracker: an item that never ends stops its partition, and no other", "[commit]") {
  CommitTracker tracker;
  for (int i = 0; i < 3; ++i) {
    tracker.expect({0, i});
    tracker.expect({1, 10 * i});
  }
  tracker.done({0, 1});
  tracker.done({0, 2});
  for (int i = 0; i < 3; ++i) tracker.done({1, 10 * i});
  CHECK(collected(tracker) == std::vector<Origin>{{1, 20}});
}

TEST_CASE("CommitTracker: offsets that go back end all the same", "[commit]") {
  CommitTracker tracker;
  for (const int offset : {100, 0, 1, 1}) tracker.expect({0, offset});
  tracker.done({0, 0});
  tracker.done({0, 1});
  CHECK(collected(tracker).empty());
  tracker.done({0, 100});
  CHECK(collected(tracker) == std::vector<Origin>{{0, 1}});
  tracker.done({0, 1});
  CHECK(collected(tracker) == std::vector<Origin>{{0, 1}});
}

TEST_CASE("CommitTracker: an append that was refused is expected no longer", "[commit]") {
  CommitTracker tracker;
  tracker.expect({0, 1});
  tracker.expect({0, 2});
  tracker.forget({0, 2});
  tracker.done({0, 1});
  CHECK(collected(tracker) == std::vector<Origin>{{0, 1}});
  tracker.expect({0, 2});  // offered again
  tracker.done({0, 2});
  CHECK(collected(tracker) == std::vector<Origin>{{0, 2}});
}

TEST_CASE("CommitTracker: an end that nobody expected, or that comes twice, changes nothing",
          "[commit]") {
  CommitTracker tracker;
  tracker.done({0, 7});
  tracker.expect({0, 0});
  tracker.expect({0, 2});
  tracker.done({0, 1});
  tracker.done({0, 2});
  tracker.done({0, 2});
  CHECK(collected(tracker).empty());
  tracker.done({0, 0});
  tracker.done({0, 0});
  CHECK(collected(tracker) == std::vector<Origin>{{0, 2}});
}

TEST_CASE("CommitTracker: many at once are as one after another, also where offsets have gaps",
          "[commit]") {
  CommitTracker tracker;
  const std::vector<Origin> all{{0, 3}, {0, 4}, {1, 7}, {0, 9}, {1, 8}, {0, 10}, {0, 11}};
  tracker.expect(all);
  tracker.forget(std::span(all).last(2));
  CHECK_FALSE(tracker.done(std::vector<Origin>(3)));  // of no source
  CHECK(tracker.done(std::vector<Origin>{{0, 9}, {}, {0, 3}, {1, 7}}));
  CHECK(collected(tracker) == std::vector<Origin>{{0, 3}, {1, 7}});
  tracker.expect(std::vector<Origin>{{0, 10}});  // offered again
  CHECK(tracker.done(std::vector<Origin>{{0, 4}, {1, 8}, {0, 10}, {0, 11}}));
  CHECK(collected(tracker) == std::vector<Origin>{{0, 10}, {1, 8}});
}

TEST_CASE("CommitTracker: random ends in three partitions against plain lists", "[commit]") {
  const unsigned seed = std::random_device{}();
  CAPTURE(seed);
  std::mt19937 random(seed);
  CommitTracker tracker;
  struct Entry {
    std::int64_t offset;
    bool done;
  };
  std::map<std::uint32_t, std::vector<Entry>> model;  // everything that was ever expected
  std::map<std::uint32_t, std::int64_t> committed;
  std::map<std::uint32_t, std::int64_t> next;
  for (int step = 0; step < 20'000; ++step) {
    const auto partition = static_cast<std::uint32_t>(random() % 3);
    auto& entries = model[partition];
    switch (random() % 4) {
      case 0: {
        const std::int64_t offset = next[partition] += 1 + static_cast<std::int64_t>(random() % 3);
        tracker.expect({partition, offset});
        if (random() % 8 == 0)
          tracker.forget({partition, offset});
        else
          entries.push_back({offset, false});
        break;
      }
      case 1:
      case 2: {
        if (entries.empty()) break;
        const std::size_t recent = std::min<std::size_t>(entries.size(), 20);
        Entry& entry = entries[entries.size() - 1 - random() % recent];
        entry.done = true;
        tracker.done({partition, entry.offset});
        break;
      }
      case 3: {
        std::vector<Origin> expected;
        for (auto& [id, all] : model) {
          std::int64_t last = -1;
          for (const Entry& entry : all) {
            if (!entry.done) break;
            last = entry.offset;
          }
          if (last > committed.try_emplace(id, -1).first->second) {
            committed[id] = last;
            expected.push_back({id, last});
          }
        }
        REQUIRE(collected(tracker) == expected);
        // What lies behind must not stall for good: the oldest open one ends now and then.
        for (auto& entry : entries) {
          if (entry.done) continue;
          entry.done = true;
          tracker.done({partition, entry.offset});
          break;
        }
        break;
      }
    }
  }
  REQUIRE(committed[0] > 100);
}
