// What each half of the program does with its version; compiled once against either.
#include <microbatch/microbatch.hpp>

#include <cstddef>

std::size_t HALF(int& sum) {
  microbatch::Stream<int> stream({.capacity = 64});
  auto consumer = microbatch::streaming(stream, microbatch::CountWindow{2},
                                        [&sum](microbatch::Window<int>& window) {
                                          for (int item : window) sum += item;
                                        });
  for (int item = 1; item <= 3; ++item) stream.append(item);
  consumer.close();
  return sizeof(microbatch::StreamOptions<int>);
}
