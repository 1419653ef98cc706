#include "support/rig.hpp"

using namespace microbatch;
using namespace std::chrono_literals;
using test::Names;
using test::Rig;
using test::Windows;

TEST_CASE("CountWindow: every window has exactly n items", "[emitter]") {
  Rig rig;
  rig.consume(CountWindow{3});
  rig.append(1, 2);
  rig.at(100s);
  CHECK(rig.windows.empty());
  rig.append(3, 4, 5, 6, 7);
  rig.run();
  CHECK(rig.items() == Windows<>{{1, 2, 3}, {4, 5, 6}});
  CHECK(rig.stats().windows_with(Reason::count) == 2);
  rig.close();
  CHECK(rig.reasons() == Names{"count", "count", "close"});
}

TEST_CASE("CountWindow: a size of 0 or below names the argument", "[emitter]") {
  CHECK_THROWS_AS(CountWindow{0}, ConfigError);
  CHECK_THROWS_WITH(CountWindow{0},
                    ContainsSubstring("CountWindow: size") && ContainsSubstring("got 0"));
  CHECK_THROWS_WITH(CountWindow{static_cast<std::size_t>(-1)},
                    ContainsSubstring("a negative number?"));
  CountWindow emitter{1};
  CHECK_THROWS_AS(emitter.set_size(0), ConfigError);
  CHECK(emitter.size() == 1);
}

TEST_CASE("CountWindow: a smaller size takes effect at once, for what is pending", "[emitter]") {
  Rig rig;
  CountWindow size{10};
  rig.consume(size);
  rig.append(1, 2, 3, 4, 5);
  rig.run();
  CHECK(rig.windows.empty());
  size.set_size(2);
  rig.run();
  CHECK(rig.items() == Windows<>{{1, 2}, {3, 4}});
  CHECK(size.size() == 2);
  size.set_size(3);
  rig.append(6);
  rig.run();
  CHECK(rig.windows.size() == 2);
  rig.append(7);
  rig.run();
  CHECK(rig.windows.back().items == std::vector{5, 6, 7});
  rig.close();
}

TEST_CASE("CountWindow: a retune after the consumer's end changes nothing", "[emitter]") {
  CountWindow size{10};
  {
    Rig rig;
    rig.consume(size);
    rig.close();
    CHECK_NOTHROW(size.set_size(2));
  }
  CHECK_NOTHROW(size.set_size(3));
  CHECK(size.size() == 3);
}

TEST_CASE("CountWindow: a window that is retried keeps its items when the size changes",
          "[emitter]") {
  Rig rig;
  CountWindow size{4};
  bool fail = true;
  rig.consume(size,
              [&](Window<int>&) {
                if (std::exchange(fail, false)) throw std::runtime_error("once");
              },
              {.on_failure = {.jitter = 0}});
  rig.append(1, 2, 3, 4, 5, 6);
  rig.run();
  size.set_size(2);
  rig.at(100ms);
  CHECK(rig.items() == Windows<>{{1, 2, 3, 4}, {5, 6}});
  CHECK(rig.windows[0].attempt == 2);
  rig.close();
}
