#include <microbatch/core/window.hpp>

#include <array>
#include <numeric>
#include <span>
#include <string>
#include <vector>

#include "support/catch.hpp"

using namespace microbatch;
using namespace std::chrono_literals;

namespace {

/// A window as the engine makes it.
struct Made {
  std::vector<int> items{10, 20, 30};
  detail::WindowInfo info{.sequence = 7,
                          .reason = Reason::count,
                          .opened_at = TimePoint(1s),
                          .closed_at = TimePoint(2s),
                          .oldest_at = TimePoint(1500ms)};
  std::vector<detail::Rejection> rejections;

  Window<int> window(std::size_t n = 3, std::uint32_t part = 0, std::uint32_t attempt = 1) {
    return {std::span(items).first(n), info, part, attempt, rejections, {}};
  }
};

std::string message_of(const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const std::exception& e) {
    return e.what();
  }
}

int sum(std::span<const int> items) { return std::accumulate(items.begin(), items.end(), 0); }
void negate_all(std::span<int> items) {
  for (int& item : items) item = -item;
}

}  // namespace

TEST_CASE("Window: a contiguous range of its items", "[window]") {
  Made made;
  auto window = made.window();
  STATIC_REQUIRE(std::ranges::contiguous_range<Window<int>>);
  STATIC_REQUIRE(std::ranges::sized_range<Window<int>>);
  CHECK(window.size() == 3);
  CHECK_FALSE(window.empty());
  CHECK(window[1] == 20);
  CHECK(window.data() == made.items.data());
  CHECK(std::vector<int>(window.begin(), window.end()) == made.items);
  CHECK(made.window(0).empty());
}

TEST_CASE("Window: it converts to a span, const or not", "[window]") {
  Made made;
  auto window = made.window();
  CHECK(sum(window) == 60);
  negate_all(window);
  CHECK(made.items == std::vector{-10, -20, -30});
  const auto& view = window;
  CHECK(sum(view) == -60);
  STATIC_REQUIRE(std::convertible_to<Window<int>&, std::span<const int>>);
  STATIC_REQUIRE_FALSE(std::convertible_to<Window<int>&, std::span<long>>);
}

TEST_CASE("Window: it tells why, when and in what attempt it was emitted", "[window]") {
  Made made;
  const auto window = made.window(2, 3, 4);
  CHECK(window.sequence() == 7);
  CHECK(window.part() == 3);
  CHECK(window.attempt() == 4);
  CHECK(window.reason() == Reason::count);
  CHECK(window.opened_at() == TimePoint(1s));
  CHECK(window.closed_at() == TimePoint(2s));
  CHECK(window.oldest_at() == TimePoint(1500ms));
  CHECK_FALSE(window.stop_token().stop_requested());
}

TEST_CASE("Window: reject takes a text or an exception", "[window]") {
  Made made;
  auto window = made.window();
  window.reject(2, "no such column");
  window.reject(0, std::make_exception_ptr(TransientError("busy")));
  REQUIRE(made.rejections.size() == 2);
  CHECK(made.rejections[0].index == 2);
  CHECK_THROWS_AS(std::rethrow_exception(made.rejections[0].error), Rejected);
  CHECK(message_of(made.rejections[0].error) == "no such column");
  CHECK(made.rejections[1].index == 0);
  CHECK_THROWS_AS(std::rethrow_exception(made.rejections[1].error), TransientError);
}

TEST_CASE("Window: reject of an item that is not in it is an error that names both", "[window]") {
  Made made;
  auto window = made.window();
  CHECK_THROWS_AS(window.reject(3, "x"), std::out_of_range);
  CHECK_THROWS_WITH(window.reject(3, "x"), ContainsSubstring("index 3 in a window of 3"));
  CHECK_THROWS_AS(made.window(0).reject(0, "x"), std::out_of_range);
  CHECK(made.rejections.empty());
}

TEST_CASE("Window: its text tells number, part, size, reason and attempt", "[window]") {
  Made made;
  CHECK(fmt::format("{}", made.window()) == "window 7: 3 items by count, attempt 1");
  CHECK(fmt::format("{}", made.window(1, 0, 2)) == "window 7: 1 item by count, attempt 2");
  made.info.reason = Reason::capacity;
  CHECK(fmt::format("[{}]", made.window(2, 5, 3)) ==
        "[window 7.5: 2 items by capacity, attempt 3]");
  CHECK(fmt::format("{}", made.window(0)) == "window 7: 0 items by capacity, attempt 1");
}

TEST_CASE("Results have a text of their own", "[window]") {
  CHECK(fmt::format("{:>8}", AppendResult::full) == "    full");
  CHECK(fmt::format("{}", AppendResult::would_deadlock) == "would_deadlock");
  CHECK(fmt::format("{}", Reason::predicate) == "predicate");
  for (std::size_t r = 0; r < reason_count; ++r)
    CHECK_FALSE(to_string(static_cast<Reason>(r)).empty());
  CHECK(to_string(Reason::custom) == "custom");
  CHECK(to_string(Outcome::abandoned) == "abandoned");
  CHECK(to_string(DropCause::unclaimed) == "unclaimed");
}
