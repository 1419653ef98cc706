// Appends so many items in one way and ends on the spot, for count.sh: what two runs differ in is
// the appends alone.

#include <microbatch/microbatch.hpp>

#include <unistd.h>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string_view>

int main(int, char** argv) {
  const std::string_view way = argv[1];
  const std::uint64_t n = std::strtoull(argv[2], nullptr, 10);
  microbatch::Stream<std::uint64_t> stream({.capacity = 1 << 16});
  auto producer = stream.producer();
  // Somebody waits, and knows both lanes: they are not to ring before the window is full.
  microbatch::Engine engine(stream, microbatch::CountWindow{1 << 16},
                            [](std::span<const std::uint64_t>) {});
  (void)producer.append(0);
  (void)stream.append(0);
  (void)engine.step(microbatch::steady_clock().now());
  if (way == "stream") {
    for (std::uint64_t i = 0; i < n; ++i) stream.append(i);
  } else if (way == "range") {
    const std::uint64_t items[64]{};
    for (std::uint64_t i = 0; i < n; i += 64) (void)producer.append_range(std::span(items));
  } else {
    for (std::uint64_t i = 0; i < n; ++i) producer.append(i);
  }
  ::_exit(stream.stats().pending >= n ? 0 : 1);
}
