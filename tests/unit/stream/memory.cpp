#include "support/catch.hpp"
#include "support/counting_resource.hpp"

#include <microbatch/microbatch.hpp>
#include <microbatch/testing/manual_clock.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory_resource>
#include <new>
#include <optional>
#include <set>
#include <stdexcept>
#include <type_traits>

using namespace microbatch;
using namespace std::chrono_literals;

namespace {

/// An item that allocates nothing by itself.
template <std::size_t alignment>
struct alignas(alignment) Reading {
  int number = 0;
  std::array<int, 11> values{};
};

/// Hands out what is there once it is five, and looks where it lies until then.
struct Looking {
  const test::CountingResource* memory;
  bool* all_inside;

  template <class T>
  Readiness window_ready(Pending<T>& pending, TimePoint) const {
    for (const T& item : pending.items())
      *all_inside = *all_inside && memory->holds(&item, sizeof item);
    return {.ready = pending.size() >= 5, .reason = Reason::count, .limit = 5, .at_items = 5};
  }
};

/// 100 items through a stream, step by step; whether all of them lay in the resource.
template <class T, class E>
bool lie_inside(const test::CountingResource& memory, E emitter, StreamOptions<T> options) {
  testing::ManualClock clock;
  options.clock = clock;
  Stream<T> stream(options);
  auto producer = stream.producer();
  bool inside = true;
  std::set<int> delivered;
  Engine<T> engine(stream, std::move(emitter), [&](Window<T>& window) {
    for (const T& item : window) {
      inside = inside && memory.holds(&item, sizeof item) &&
               reinterpret_cast<std::uintptr_t>(&item) % alignof(T) == 0;
      delivered.insert(item.number);
    }
  });
  for (int i = 0; i < 100; ++i) {
    T item;
    item.number = i;
    const auto result = i % 2 == 0 ? producer.append(item) : stream.append(item);
    REQUIRE(result == AppendResult::accepted);
    if (i % 10 == 9) {
      clock.advance(1s);
      (void)engine.step(clock.now());
    }
  }
  engine.close();
  (void)engine.step(clock.now());
  CHECK(delivered.size() == 100);
  return inside;
}

}  // namespace

TEMPLATE_TEST_CASE("items lie in the stream's memory resource, and all of it is given back",
                   "[stream][memory]", Reading<4>, Reading<16>, Reading<128>) {
  using T = TestType;
  test::CountingResource memory;
  const StreamOptions<T> plain{.capacity = 200, .memory = &memory};
  SECTION("pending") {
    bool pending_inside = true;
    CHECK(lie_inside<T>(memory, Looking{&memory, &pending_inside}, plain));
    CHECK(pending_inside);
  }
  SECTION("by count") { CHECK(lie_inside<T>(memory, CountWindow{7}, plain)); }
  SECTION("with stamps") { CHECK(lie_inside<T>(memory, FixedTimeWindow{1s}, plain)); }
  SECTION("by key") {
    CHECK(lie_inside<T>(
        memory, by_key([](const T& item) { return item.number % 3; }, CountWindow{7}), plain));
  }
  SECTION("copies, where windows overlap") {
    CHECK(lie_inside<T>(memory, SlidingCountWindow{6, 2}, plain));
  }
  SECTION("with weights") {
    auto weighing = plain;
    weighing.max_bytes = 1000;
    weighing.weight = [](const T&) { return 2; };
    CHECK(lie_inside<T>(memory, CountWindow{7}, weighing));
  }
  CHECK(memory.allocations() > 0);
  CHECK(memory.blocks() == 0);
  CHECK_FALSE(memory.confused());
}

TEST_CASE("a memory resource is asked for nothing in the steady state", "[stream][memory]") {
  test::CountingResource memory;
  testing::ManualClock clock;
  Stream<int> stream(StreamOptions<>{.capacity = 1024, .clock = clock, .memory = &memory});
  int delivered = 0;
  Engine<int> engine(stream, any_of(CountWindow{64}, MaxAgeWindow{1s}),
                     [&](Window<int>& window) { delivered += static_cast<int>(window.size()); });
  const auto pass = [&] {
    for (int i = 0; i < 900; ++i) REQUIRE(stream.append(i) == AppendResult::accepted);
    clock.advance(2s);
    (void)engine.step(clock.now());
  };
  for (int i = 0; i < 50; ++i) pass();
  const std::uint64_t before = memory.allocations();
  for (int i = 0; i < 50; ++i) pass();
  CHECK(delivered == 100 * 900);
  CHECK(memory.allocations() == before);
}

TEST_CASE("what is left in a stream's lanes and pending goes back to its memory resource",
          "[stream][memory]") {
  test::CountingResource memory;
  {
    testing::ManualClock clock;
    Stream<int> stream(StreamOptions<int>{.clock = clock, .memory = &memory});
    auto producer = stream.producer();
    Engine<int> engine(stream, CountWindow{100}, [](Window<int>&) {});
    for (int i = 0; i < 10; ++i) REQUIRE(producer.append(i) == AppendResult::accepted);
    (void)engine.step(clock.now());
    for (int i = 0; i < 10; ++i) REQUIRE(stream.append(i) == AppendResult::accepted);
    CHECK(memory.bytes() >= 20 * sizeof(int));
  }
  CHECK(memory.blocks() == 0);
  CHECK_FALSE(memory.confused());
}

TEST_CASE("a stream that has ended holds no memory, though its producers live on",
          "[stream][memory]") {
  test::CountingResource memory;
  testing::ManualClock clock;
  Stream<int> stream(StreamOptions<int>{.clock = clock, .memory = &memory});
  auto producer = stream.producer();
  Engine<int> engine(stream, by_key([](int item) { return item % 2; }, CountWindow{4}),
                     [](Window<int>&) {});
  for (int i = 0; i < 10; ++i) {
    REQUIRE(producer.append(i) == AppendResult::accepted);
    REQUIRE(stream.append(i) == AppendResult::accepted);
  }
  (void)engine.step(clock.now());
  SECTION("drained") {
    engine.close();
    (void)engine.step(clock.now());
    CHECK(engine.stop().delivered == 20);
  }
  SECTION("given up") { CHECK(engine.stop().handed_back.size() == 4); }
  CHECK(memory.blocks() == 0);
  CHECK(producer.append(1) == AppendResult::closed);
  CHECK(stream.append(1) == AppendResult::closed);
  CHECK(stream.producer().append(1) == AppendResult::closed);
  CHECK(memory.blocks() == 0);
  CHECK(engine.stats().balances());
  CHECK_FALSE(memory.confused());
}

namespace {

/// An item of which there is no copy where its number is negative.
struct Positive {
  explicit Positive(int n) : number(n) {}
  Positive(const Positive& other) : number(other.number) {
    if (number < 0) throw std::invalid_argument("negative");
  }
  Positive& operator=(const Positive&) = default;
  int number;
};

}  // namespace

// The lanes stayed stopped for ever.
TEST_CASE("an emitter whose stamps find no memory is refused, and the stream goes on",
          "[stream][memory]") {
  test::CountingResource memory;
  testing::ManualClock clock;
  Stream<Positive> stream(StreamOptions<Positive>{.clock = clock, .memory = &memory});
  auto producer = stream.producer();
  CHECK_THROWS_AS(producer.append(Positive(-1)),
                  std::invalid_argument);  // its lane has a chunk now
  memory.fail_at(1);
  const auto consume = [&](auto emitter) {
    return Engine<Positive>(stream, emitter, [](Window<Positive>&) {});
  };
  CHECK_THROWS_AS(consume(FixedTimeWindow{1s}), std::bad_alloc);
  CHECK(producer.append(Positive(1)) == AppendResult::accepted);
  auto engine = consume(CountWindow{1});
  (void)engine.step(clock.now());
  CHECK(engine.stop().delivered == 1);
  CHECK(memory.blocks() == 0);
}

// Each attempt lost a chunk.
TEST_CASE("a chunk whose stamps find no memory is there for the next append", "[stream][memory]") {
  test::CountingResource memory;
  testing::ManualClock clock;
  Stream<int> stream(StreamOptions<int>{.clock = clock, .memory = &memory});
  auto producer = stream.producer();
  Engine<int> engine(stream, FixedTimeWindow{1s}, [](Window<int>&) {});
  memory.fail_at(3);  // the chunk, its items, their stamps
  CHECK_THROWS_AS(producer.append(1), std::bad_alloc);
  const std::size_t blocks = memory.blocks();
  CHECK(blocks == 2);
  for (int i = 0; i < 3; ++i) {
    memory.fail_at(1);
    CHECK_THROWS_AS(producer.append(1), std::bad_alloc);
  }
  CHECK(memory.blocks() == blocks);
  CHECK(producer.append(1) == AppendResult::accepted);
  CHECK(engine.stop().handed_back.size() == 1);
  CHECK(memory.blocks() == 0);
}

TEST_CASE("a stream's items fit into an array on the stack", "[stream][memory]") {
  alignas(64) std::array<std::byte, 16'384> array{};
  std::pmr::monotonic_buffer_resource memory(array.data(), array.size(),
                                             std::pmr::null_memory_resource());
  testing::ManualClock clock;
  Stream<std::uint64_t> stream(
      StreamOptions<std::uint64_t>{.capacity = 256, .clock = clock, .memory = &memory});
  std::uint64_t sum = 0;
  bool on_the_stack = true;
  Engine<std::uint64_t> engine(stream, CountWindow{50}, [&](Window<std::uint64_t>& window) {
    const auto* const first = reinterpret_cast<const std::byte*>(window.data());
    on_the_stack = on_the_stack && first >= array.data() && first < array.data() + array.size();
    for (const std::uint64_t item : window) sum += item;
  });
  for (std::uint64_t i = 0; i < 10'000; ++i) {
    REQUIRE(stream.append(i) == AppendResult::accepted);
    if (i % 100 == 99) (void)engine.step(clock.now());
  }
  CHECK(sum == 10'000 * 9'999 / 2);
  CHECK(on_the_stack);
}

namespace {

/// Appends and steps, where the n-th allocation of the resource fails. Every item that was accepted
/// must come out once. Returns whether an allocation failed.
bool one_failure(std::uint64_t n) {
  test::CountingResource memory;
  bool failed = false;
  {
    testing::ManualClock clock;
    std::set<int> accepted;
    std::set<int> delivered;
    std::size_t doubled = 0;
    StreamOptions<int> options{.capacity = 64,
                               .max_bytes = 1000,
                               .weight = [](int) { return 1; },
                               .clock = clock,
                               .arrival_stamps = true,
                               .memory = &memory};
    Stream<int> stream(options);
    Engine<int> engine(stream, by_key([](int item) { return item % 2; }, CountWindow{4}),
                       [&](Window<int>& window) {
                         for (const int item : window)
                           if (!delivered.insert(item).second) ++doubled;
                       },
                       {.on_error = [&](const BackgroundError&) { failed = true; }});
    memory.fail_at(n);
    for (int i = 0; i < 60; ++i) {
      try {
        if (stream.append(i) == AppendResult::accepted) accepted.insert(i);
      } catch (const std::bad_alloc&) {
        failed = true;
      }
      if (i % 9 == 8) (void)engine.step(clock.now());
    }
    memory.fail_at(0);
    engine.close();
    for (int i = 0; i < 100 && !engine.finished(); ++i) {
      clock.advance(1s);
      (void)engine.step(clock.now());
    }
    CHECK(engine.finished());
    CHECK(engine.stats().balances());
    CHECK(engine.stats().accepted == accepted.size());
    CHECK(delivered == accepted);
    CHECK(doubled == 0);
  }
  CHECK(memory.blocks() == 0);
  CHECK_FALSE(memory.confused());
  return failed;
}

}  // namespace

TEST_CASE("a memory resource that fails loses nothing", "[stream][memory]") {
  std::uint64_t n = 1;
  for (; n < 1000; ++n) {
    CAPTURE(n);
    if (!one_failure(n)) break;
  }
  CHECK(n > 10);
  CHECK(n < 1000);
}

TEST_CASE("a stream without a memory resource leaves the default one alone", "[stream][memory]") {
  CHECK(StreamOptions<int>{}.memory == nullptr);
  test::CountingResource memory;
  struct Default {
    std::pmr::memory_resource* before;
    ~Default() { std::pmr::set_default_resource(before); }
  } const restore{std::pmr::set_default_resource(&memory)};
  testing::ManualClock clock;
  Stream<int> stream(StreamOptions<int>{.clock = clock});
  Engine<int> engine(stream, FixedTimeWindow{1s}, [](Window<int>&) {});
  for (int i = 0; i < 10; ++i) REQUIRE(stream.append(i) == AppendResult::accepted);
  clock.advance(1s);
  (void)engine.step(clock.now());
  CHECK(engine.stats().delivered == 10);
  CHECK(memory.allocations() == 0);
}
