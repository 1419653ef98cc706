// Items go in one at a time, from any thread, and come out by the window.

#include <fmt/format.h>

#include <microbatch/microbatch.hpp>
#include <string>

int main() {
  microbatch::Stream<std::string> stream(
      {.capacity = 65'536, .overflow = microbatch::Overflow::block});

  auto consumer = microbatch::streaming(stream, microbatch::CountWindow{2},
                                        [](microbatch::Window<std::string>& window) {
                                          fmt::print("{}: {}\n", window, fmt::join(window, ", "));
                                        });

  stream.append("hello");             // any thread
  auto producer = stream.producer();  // a lane of its own: the shortest append
  producer.append("world");
  producer.append("bye");

  const auto end = consumer.close();  // drains: the partial window is emitted at once
  return end.delivered == 3 ? 0 : 1;
}
