#include <microbatch/async_append.hpp>

#include <memory>
#include <vector>

#include "support/detached.hpp"
#include "support/rig.hpp"

using namespace microbatch;
using namespace std::chrono_literals;

namespace {

test::Detached append_all(Stream<int>& stream, int from, int n,
                          std::vector<AppendResult>& results) {
  for (int i = from; i < from + n; ++i) {
    const AppendResult result = co_await AsyncAppend(stream, i);
    results.push_back(result);
    if (result != AppendResult::accepted) break;
  }
}

std::vector<AppendResult> accepted(std::size_t n) { return {n, AppendResult::accepted}; }

}  // namespace

TEST_CASE("an awaited append waits for room and goes on when there is some", "[coroutine]") {
  test::Rig<int> rig({.capacity = 4});
  rig.consume(CountWindow{2});
  std::vector<AppendResult> results;
  append_all(rig.stream, 0, 7, results);
  CHECK(results == accepted(4));  // the fifth sleeps, and this thread goes on
  rig.run();
  CHECK(results == accepted(7));
  rig.close();
  CHECK(rig.flat() == std::vector{0, 1, 2, 3, 4, 5, 6});
}

TEST_CASE("an awaited append on a full stream ends with `closed` when the stream closes",
          "[coroutine]") {
  test::Rig<int> rig({.capacity = 2});
  rig.consume(CountWindow{2}, [](Window<int>&) { throw TransientError("down"); });
  std::vector<AppendResult> first;
  std::vector<AppendResult> second;
  append_all(rig.stream, 0, 3, first);
  append_all(rig.stream, 10, 1, second);
  rig.run();
  CHECK(first.size() == 2);
  CHECK(second.empty());
  CHECK(rig.stop().handed_back == std::vector{0, 1});
  REQUIRE(first.size() == 3);
  CHECK(first.back() == AppendResult::closed);
  CHECK(second == std::vector{AppendResult::closed});
}

TEST_CASE("who sleeps for room makes the engine flush what it holds back", "[coroutine]") {
  test::Rig<int> rig({.capacity = 3});
  rig.consume(MaxAgeWindow{1h});
  std::vector<AppendResult> results;
  append_all(rig.stream, 0, 4, results);
  rig.run();
  CHECK(results == accepted(4));
  CHECK(rig.reasons() == test::Names{"capacity"});
  rig.close();
}

TEST_CASE("an awaited append answers at once where the stream does not block", "[coroutine]") {
  test::Rig<int> reject({.capacity = 1, .overflow = Overflow::reject});
  reject.consume(CountWindow{1});
  std::vector<AppendResult> results;
  append_all(reject.stream, 0, 2, results);
  CHECK(results == std::vector{AppendResult::accepted, AppendResult::full});

  Stream<int> alone({.capacity = 1});
  results.clear();
  append_all(alone, 0, 2, results);
  CHECK(results == std::vector{AppendResult::accepted, AppendResult::full});
}

TEST_CASE("an item that was not taken is left with the awaiter", "[coroutine]") {
  Stream<std::unique_ptr<int>> stream({.capacity = 1});
  stream.close();
  AsyncAppend<std::unique_ptr<int>> append(stream, std::make_unique<int>(7));
  REQUIRE(append.await_ready());
  CHECK(append.await_resume() == AppendResult::closed);
  REQUIRE(append.item() != nullptr);
  CHECK(*append.item() == 7);
}
