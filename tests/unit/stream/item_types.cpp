#include "support/catch.hpp"

#include <microbatch/microbatch.hpp>
#include <microbatch/testing/manual_clock.hpp>
#include <microbatch/testing/manual_executor.hpp>

#include <array>
#include <cstdint>
#include <memory>
#include <set>
#include <stdexcept>
#include <vector>

using namespace microbatch;
using namespace std::chrono_literals;

namespace {

/// Counts what is constructed and destroyed; its moves throw where it is told so.
class Fragile {
 public:
  explicit Fragile(int v) : value(v) { ++alive; }
  Fragile(Fragile&& other) noexcept(false) : value(other.value) {
    if (throwing.contains(value)) throw std::runtime_error("move");
    ++alive;
  }
  ~Fragile() { --alive; }

  int value;
  static inline int alive = 0;
  static inline std::set<int> throwing;
};

struct Rig {
  testing::ManualClock clock;
  testing::ManualExecutor executor;
  std::vector<int> seen;
  std::vector<BackgroundError> errors;
  Stream<Fragile> stream{StreamOptions<>{.capacity = 100, .clock = clock}};
  Consumer<Fragile> consumer =
      streaming(stream, CountWindow{5},
                [this](Window<Fragile>& window) {
                  for (const Fragile& item : window) seen.push_back(item.value);
                },
                {.executor = executor,
                 .on_error = [this](const BackgroundError& e) { errors.push_back(e); }});
  Rig() { Fragile::throwing.clear(); }
  ~Rig() { Fragile::throwing.clear(); }
};

template <class T>
void passes_through(std::size_t n) {
  testing::ManualClock clock;
  testing::ManualExecutor executor;
  std::size_t delivered = 0;
  bool aligned = true;
  Stream<T> stream({.capacity = 64, .clock = clock});
  auto consumer =
      streaming(stream, CountWindow{3},
                [&](Window<T>& window) {
                  for (const T& item : window)
                    aligned = aligned && reinterpret_cast<std::uintptr_t>(&item) % alignof(T) == 0;
                  delivered += window.size();
                },
                {.executor = executor});
  auto item = std::make_unique<T>();
  for (std::size_t i = 0; i < n; ++i) {
    CHECK(stream.append(std::move(*item)) == AppendResult::accepted);
    executor.run_ready();
  }
  consumer.close();
  CHECK(delivered == n);
  CHECK(aligned);
}

struct alignas(64) CacheLine {
  std::array<std::byte, 64> bytes;
};
struct alignas(4096) Page {
  std::array<std::byte, 4096> bytes;
};
struct Megabyte {
  std::array<std::byte, 1 << 20> bytes;
};
struct Empty {};
struct NoDefault {
  explicit NoDefault(int) {}
};

}  // namespace

TEST_CASE("over-aligned, huge, empty and move-only items pass through", "[stream]") {
  passes_through<CacheLine>(100);
  passes_through<Page>(100);
  passes_through<Megabyte>(10);
  passes_through<Empty>(100);
  passes_through<std::unique_ptr<int>>(100);
  passes_through<bool>(100);
}

TEST_CASE("as many objects are destroyed as were constructed, at every kind of end", "[stream]") {
  const int end = GENERATE(0, 1, 2, 3);
  const int before = Fragile::alive;
  {
    Rig rig;
    for (int i = 0; i < 23; ++i) rig.stream.append(Fragile(i));
    if (end != 0) rig.executor.run_ready();
    switch (end) {
      case 0:
        CHECK(rig.consumer.stop().handed_back.size() == 23);
        break;
      case 1:
        CHECK(rig.consumer.close().delivered == 23);
        break;
      case 2:
        CHECK(rig.consumer.close(0ns).handed_back.size() +
                  static_cast<std::size_t>(rig.consumer.stats().delivered) ==
              23);
        break;
      default:
        break;
    }
  }
  CHECK(Fragile::alive == before);
}

TEST_CASE("an item whose move throws on append is rethrown, uncounted, and leaves no hole",
          "[stream]") {
  Rig rig;
  Fragile::throwing = {2};
  for (int i = 0; i < 6; ++i) {
    Fragile item(i);
    if (i == 2) {
      CHECK_THROWS_WITH(rig.stream.append(std::move(item)), "move");
      CHECK_THROWS_WITH((void)rig.stream.try_append(std::move(item)), "move");
      CHECK_THROWS_WITH((void)rig.stream.append(std::move(item), ack), "move");
    } else {
      CHECK(rig.stream.append(std::move(item)) == AppendResult::accepted);
    }
  }
  CHECK(rig.stream.stats().offered == 5);
  rig.executor.run_ready();
  CHECK(rig.seen == std::vector{0, 1, 3, 4, 5});
}

TEST_CASE("an item whose move throws while a window is built counts as dropped, the others pass",
          "[stream]") {
  Rig rig;
  const auto bad = GENERATE(std::set<int>{0}, std::set<int>{4}, std::set<int>{1, 2},
                            std::set<int>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9});
  std::vector<Acknowledgement> answers;
  for (int i = 0; i < 10; ++i) answers.push_back(rig.stream.append(Fragile(i), ack));
  Fragile::throwing = bad;
  rig.executor.run_ready();
  Fragile::throwing.clear();
  rig.consumer.close();
  const Stats stats = rig.consumer.stats();
  CHECK(stats.dropped(DropCause::move_threw) == bad.size());
  CHECK(stats.delivered == 10 - bad.size());
  CHECK(stats.balances());
  CHECK(rig.seen.size() == 10 - bad.size());
  CHECK(std::is_sorted(rig.seen.begin(), rig.seen.end()));
  CHECK(rig.errors.size() == bad.size());
  for (int i = 0; i < 10; ++i) {
    REQUIRE(answers[static_cast<std::size_t>(i)].ready());
    if (bad.contains(i))
      CHECK_THROWS_AS(answers[static_cast<std::size_t>(i)].get(), NotDelivered);
    else
      CHECK(answers[static_cast<std::size_t>(i)].get() == Outcome::delivered);
  }
}

// It was once counted as handed back, and in nobody's hands.
TEST_CASE("an item whose move throws while it is handed back counts as dropped", "[stream]") {
  Rig rig;
  for (int i = 0; i < 4; ++i) rig.stream.append(Fragile(i));
  Fragile::throwing = {2};
  const auto result = rig.consumer.stop();
  Fragile::throwing.clear();
  const Stats stats = rig.consumer.stats();
  CHECK(stats.balances());
  CHECK(result.handed_back.size() == 3);
  CHECK(stats.handed_back == 3);
  CHECK(stats.dropped(DropCause::move_threw) == 1);
}

TEST_CASE("stats() of a stream and of its consumer agree and balance while items pass",
          "[stream]") {
  Rig rig;
  for (int i = 0; i < 13; ++i) {
    rig.stream.append(Fragile(i));
    if (i % 4 == 0) (void)rig.executor.step();
    const Stats stats = rig.stream.stats();
    CHECK(stats.balances());
    CHECK(stats.accepted == static_cast<std::uint64_t>(i) + 1);
    CHECK(stats.delivered == rig.consumer.stats().delivered);
  }
  rig.executor.run_ready();
  const Stats stats = rig.stream.stats();
  CHECK(stats.windows == 2);
  CHECK(stats.windows_with(Reason::count) == 2);
  CHECK(stats.delivered == 10);
  CHECK(stats.pending == 3);
}
