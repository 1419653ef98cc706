// The scenarios with emitters of the user's own.

#include <algorithm>
#include <map>
#include <thread>

#include "support/rig.hpp"

using namespace microbatch;
using namespace std::chrono_literals;
using test::Names;
using test::Rig;
using test::Windows;

namespace {

/// Windows of `interval` items, sorted, and only of those that are multiples of 2. The others stay.
class SortedEven {
 public:
  explicit SortedEven(std::size_t interval) : interval_(interval) {}

  Readiness window_ready(Pending<int>& pending, TimePoint) {
    return {.ready = pick(pending) >= interval_,
            .reason = Reason::custom,
            .at_items = pending.size() + 1};
  }
  Readiness flush(Pending<int>& pending, TimePoint) { return {.ready = pick(pending) > 0}; }
  void query(Pending<int>& pending, Draft<int>& draft, const Readiness&) {
    pick(pending);
    for (std::size_t i = 0; i < std::min(interval_, picked_.size()); ++i) draft.take(picked_[i]);
  }

 private:
  std::size_t pick(Pending<int>& pending) {
    picked_.clear();
    for (std::size_t i = 0; i < pending.size(); ++i)
      if (pending[i] % 2 == 0) picked_.push_back(i);
    std::sort(picked_.begin(), picked_.end(),
              [&](std::size_t a, std::size_t b) { return pending[a] < pending[b]; });
    return picked_.size();
  }

  std::size_t interval_;
  std::vector<std::size_t> picked_;
};

struct Keyed {
  int key;
  int value;
  friend bool operator==(const Keyed&, const Keyed&) = default;
};

/// Windows of n items with the same key: one bucket per key.
class PerKey {
 public:
  explicit PerKey(std::size_t n) : n_(n) {}

  Readiness window_ready(Pending<Keyed>& pending, TimePoint) {
    while (!pending.empty()) {
      const int key = pending[0].key;
      const auto known = buckets_.find(key);
      pending.route_front(known != buckets_.end()
                              ? known->second
                              : buckets_.emplace(key, pending.open_bucket()).first->second);
    }
    return {
        .ready = fullest(pending) >= n_, .reason = Reason::custom, .at_items = pending.total() + 1};
  }
  Readiness flush(Pending<Keyed>& pending, TimePoint) { return {.ready = fullest(pending) > 0}; }
  void query(Pending<Keyed>& pending, Draft<Keyed>& draft, const Readiness&) {
    const std::size_t n = fullest(pending);
    draft.take_from(fullest_, std::min(n_, n));
  }

 private:
  std::size_t fullest(Pending<Keyed>& pending) {
    std::size_t most = 0;
    for (const auto& [key, bucket] : buckets_) {
      if (pending.size(bucket) <= most) continue;
      most = pending.size(bucket);
      fullest_ = bucket;
    }
    return most;
  }

  std::size_t n_;
  std::map<int, BucketId> buckets_;
  BucketId fullest_{};
};

}  // namespace

TEST_CASE("scenario 18: a custom emitter takes the even items, sorted, and leaves the odd ones",
          "[scenario]") {
  Rig rig;
  rig.consume(SortedEven{3});
  rig.append(9, 8, 7, 6, 5);
  rig.run();
  CHECK(rig.windows.empty());
  CHECK(rig.stats().pending == 5);
  rig.append(2, 4, 3);
  rig.run();
  CHECK(rig.items() == Windows<>{{2, 4, 6}});
  rig.append(10, 12);
  rig.run();
  CHECK(rig.items() == Windows<>{{2, 4, 6}, {8, 10, 12}});
  CHECK(rig.reasons() == Names{"custom", "custom"});
  CHECK(rig.stats().pending == 4);

  rig.append(14);
  const auto result = rig.close();  // even ones leave, odd ones are nobody's
  CHECK(rig.items() == Windows<>{{2, 4, 6}, {8, 10, 12}, {14}});
  CHECK(result.handed_back == std::vector{9, 7, 5, 3});
}

TEST_CASE("scenario 22: eight keys fill the capacity, and a window leaves with reason capacity",
          "[scenario]") {
  Rig<Keyed> rig({.capacity = 8});
  rig.consume(PerKey{10});
  for (int key = 0; key < 8; ++key) rig.append(Keyed{key, key});
  rig.run();
  CHECK(rig.windows.empty());
  CHECK(rig.stats().pending == 8);

  AppendResult ninth{};
  std::jthread producer([&] { ninth = rig.stream.append(Keyed{0, 8}); });
  while (rig.windows.empty()) {
    rig.run();
    std::this_thread::yield();
  }
  producer.join();
  CHECK(ninth == AppendResult::accepted);
  CHECK(rig.windows[0].items == std::vector{Keyed{0, 0}});
  CHECK(rig.reasons() == Names{"capacity"});
  rig.close();
  CHECK(rig.windows.size() == 8 + 1);
  CHECK(rig.stats().delivered == 9);
}

TEST_CASE("scenario 22: windows of one key each, by its own count", "[scenario]") {
  Rig<Keyed> rig;
  rig.consume(PerKey{2});
  rig.append(Keyed{1, 0}, Keyed{2, 1}, Keyed{3, 2}, Keyed{2, 3}, Keyed{1, 4}, Keyed{1, 5});
  rig.run();
  std::vector<Keyed> all = rig.flat();
  CHECK(rig.windows.size() == 2);
  CHECK(all == std::vector{Keyed{1, 0}, Keyed{1, 4}, Keyed{2, 1}, Keyed{2, 3}});
  SECTION("a close drains the buckets") {
    rig.close();
    CHECK(rig.windows.size() == 4);
    CHECK(rig.stats().delivered == 6);
  }
  SECTION("a stop hands back what is in them") {
    const auto result = rig.stop();
    CHECK(result.handed_back.size() == 2);
    CHECK(result.delivered == 4);
  }
}
