#include "support/catch.hpp"

#include <microbatch/microbatch.hpp>
#include <microbatch/testing/manual_clock.hpp>
#include <microbatch/testing/manual_executor.hpp>

#include <limits>
#include <string>

using namespace microbatch;
using namespace std::chrono_literals;

namespace {

StreamOptions<std::string> bytes(std::uint64_t most, Overflow overflow = Overflow::reject) {
  return {.capacity = 100,
          .max_bytes = most,
          .weight = [](const std::string& s) { return s.size(); },
          .overflow = overflow};
}

}  // namespace

TEST_CASE("max_bytes is exact, and empty items weigh nothing", "[stream]") {
  Stream<std::string> stream(bytes(10));
  CHECK(stream.append("123456") == AppendResult::accepted);
  CHECK(stream.append("12345") == AppendResult::full);
  CHECK(stream.append("1234") == AppendResult::accepted);
  CHECK(stream.append("1") == AppendResult::full);
  CHECK(stream.append("") == AppendResult::accepted);
  CHECK(stream.stats().bytes == 10);
}

TEST_CASE("an item heavier than max_bytes is too large, and stays with the caller", "[stream]") {
  const Overflow overflow =
      GENERATE(Overflow::block, Overflow::reject, Overflow::drop_newest, Overflow::drop_oldest);
  Stream<std::string> stream(bytes(10, overflow));
  std::string item(11, 'x');
  CHECK(stream.append(std::move(item)) == AppendResult::too_large);
  CHECK(item.size() == 11);
  CHECK(stream.append(std::string(10, 'y')) == AppendResult::accepted);
  CHECK(stream.stats().refused_too_large == 1);
}

TEST_CASE("bytes come back when items are settled", "[stream]") {
  testing::ManualClock clock;
  testing::ManualExecutor executor;
  auto options = bytes(10);
  options.clock = clock;
  Stream<std::string> stream(options);
  auto consumer =
      streaming(stream, CountWindow{1}, [](Window<std::string>&) {}, {.executor = executor});
  for (int i = 0; i < 10; ++i) {
    CHECK(stream.append("0123456789") == AppendResult::accepted);
    CHECK(stream.append("1") == AppendResult::full);
    executor.run_ready();
    CHECK(stream.stats().bytes == 0);
  }
}

TEST_CASE("drop_oldest drops as many as the bytes of the new item need", "[stream]") {
  Stream<std::string> stream(bytes(10, Overflow::drop_oldest));
  for (int i = 0; i < 5; ++i) stream.append("ab");
  CHECK(stream.append("12345") == AppendResult::accepted);
  CHECK(stream.stats().dropped(DropCause::oldest) == 3);
  CHECK(stream.stats().bytes == 9);
}

TEST_CASE("a weight function that throws leaves the item with the caller, uncounted", "[stream]") {
  Stream<std::string> stream({.weight = [](const std::string& s) -> int {
    if (s.size() > 3) throw std::runtime_error("too long to weigh");
    return static_cast<int>(s.size());
  }});
  std::string item = "long";
  CHECK_THROWS_WITH(stream.append(std::move(item)), "too long to weigh");
  CHECK(item == "long");
  CHECK(stream.stats().offered == 0);
  CHECK(stream.append("ok") == AppendResult::accepted);
}

TEST_CASE("a negative weight and one that is no number are refused by name", "[stream]") {
  Stream<double> stream({.weight = [](const double& d) { return d; }});
  CHECK_THROWS_AS(stream.append(-1.0), ConfigError);
  CHECK_THROWS_WITH(stream.append(-1.0), ContainsSubstring("weight") && ContainsSubstring("-1"));
  CHECK_THROWS_AS(stream.append(std::numeric_limits<double>::quiet_NaN()), ConfigError);
  CHECK(stream.append(0.0) == AppendResult::accepted);
  CHECK(stream.stats().offered == 1);
}

// The sum once wrapped around, and a huge double was converted without a look at its range.
TEST_CASE("weights near the end of their range neither wrap nor overflow", "[stream]") {
  Stream<std::uint64_t> stream({.capacity = 16,
                                .max_bytes = std::numeric_limits<std::uint64_t>::max() - 1,
                                .weight = [](const std::uint64_t& n) { return n; },
                                .overflow = Overflow::reject});
  const std::uint64_t half = std::uint64_t{1} << 63;
  CHECK(stream.append(half) == AppendResult::accepted);
  CHECK(stream.append(half) == AppendResult::full);
  CHECK(stream.append(half - 2) == AppendResult::accepted);
  CHECK(stream.append(1) == AppendResult::full);

  Stream<double> doubles({.max_bytes = 100, .weight = [](const double& d) { return d; }});
  CHECK(doubles.append(1e30) == AppendResult::too_large);
  CHECK(doubles.append(std::numeric_limits<double>::infinity()) == AppendResult::too_large);
}
