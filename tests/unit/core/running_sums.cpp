#include <microbatch/emitters/weight_window.hpp>

#include <deque>
#include <numeric>
#include <random>

#include "support/catch.hpp"

using microbatch::detail::RunningSums;

TEST_CASE("RunningSums: the weight of any stretch is a difference of sums", "[weight]") {
  RunningSums sums;
  for (std::uint64_t w = 1; w <= 100; ++w) sums.push(w);  // it grows on the way
  CHECK(sums.end() == 100);
  CHECK(sums.weight(0, 100) == 5050);
  CHECK(sums.weight(0, 1) == 1);
  CHECK(sums.weight(99, 100) == 100);
  CHECK(sums.weight(10, 20) == 155);
  CHECK(sums.weight(50, 50) == 0);
}

TEST_CASE("RunningSums: what is forgotten changes no sum behind it", "[weight]") {
  RunningSums sums;
  for (std::uint64_t w = 1; w <= 10; ++w) sums.push(w);
  sums.forget_before(4);
  CHECK(sums.weight(4, 10) == 5 + 6 + 7 + 8 + 9 + 10);
  CHECK(sums.weight(4, 5) == 5);
  sums.forget_before(10);
  CHECK(sums.weight(10, 10) == 0);
  sums.push(3);
  CHECK(sums.end() == 11);
  CHECK(sums.weight(10, 11) == 3);
}

TEST_CASE("RunningSums: restarted at a position, it knows nothing from before", "[weight]") {
  RunningSums sums;
  sums.push(1000);
  sums.restart(500);
  CHECK(sums.end() == 500);
  CHECK(sums.weight(500, 500) == 0);
  sums.push(7);
  sums.push(8);
  CHECK(sums.weight(500, 501) == 7);
  CHECK(sums.weight(500, 502) == 15);
}

TEST_CASE("RunningSums: random pushing and forgetting against a list", "[weight]") {
  const unsigned seed = std::random_device{}();
  CAPTURE(seed);
  std::mt19937 random(seed);
  RunningSums sums;
  std::deque<std::uint64_t> list;
  std::uint64_t begin = 0;
  for (int step = 0; step < 20'000; ++step) {
    const auto action = random() % 100;
    if (action < 60) {
      const std::uint64_t w = random() % 1000;
      sums.push(w);
      list.push_back(w);
    } else if (action < 80 && !list.empty()) {
      const std::uint64_t n = random() % (list.size() + 1);
      list.erase(list.begin(), list.begin() + static_cast<std::ptrdiff_t>(n));
      begin += n;
      sums.forget_before(begin);
    } else if (action < 81) {
      begin += list.size() + random() % 10;
      list.clear();
      sums.restart(begin);
    }
    REQUIRE(sums.end() == begin + list.size());
    const std::uint64_t from = random() % (list.size() + 1);
    const std::uint64_t to = from + random() % (list.size() - from + 1);
    const std::uint64_t expected =
        std::accumulate(list.begin() + static_cast<std::ptrdiff_t>(from),
                        list.begin() + static_cast<std::ptrdiff_t>(to), std::uint64_t{0});
    REQUIRE(sums.weight(begin + from, begin + to) == expected);
  }
}
