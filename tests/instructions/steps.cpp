// Steps an engine so many times, each time with one more item, over so many pending ones, and ends
// on the spot, for count.sh: what two runs differ in is the steps alone.

#include <microbatch/microbatch.hpp>

#include <unistd.h>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string_view>
#include <vector>

int main(int, char** argv) {
  using namespace microbatch;
  const std::size_t pending = std::string_view(argv[1]) == "over_ten_million" ? 10'000'000 : 1000;
  const std::size_t steps = std::strtoull(argv[2], nullptr, 10);
  constexpr std::size_t capacity = std::size_t{1} << 24;
  Stream<std::uint32_t> stream({.capacity = capacity});
  auto producer = stream.producer();
  // The emitter looks at every item, once.
  Engine engine(
      stream,
      any_of(CountWindow{capacity}, PredicateWindow{[](std::uint32_t i) { return i != 0; }}),
      [](std::span<const std::uint32_t>) { std::abort(); });
  (void)producer.append_range(std::vector<std::uint32_t>(pending));
  (void)engine.step(steady_clock().now());
  for (std::size_t i = 0; i < steps; ++i) {
    producer.append(0);
    (void)engine.step(TimePoint{} + Duration{1});
  }
  ::_exit(engine.stats().pending == pending + steps ? 0 : 1);
}
