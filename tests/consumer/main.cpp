// The program that every project beside it builds: three items leave in windows of at most two.
#include <microbatch/microbatch.hpp>

#include <cstdio>

int main() {
  int sum = 0;
  microbatch::Stream<int> stream({.capacity = 64});
  auto consumer = microbatch::streaming(stream, microbatch::CountWindow{2},
                                        [&sum](microbatch::Window<int>& window) {
                                          for (int item : window) sum += item;
                                        });
  for (int item = 1; item <= 3; ++item) stream.append(item);
  consumer.close();

  std::printf("1 + 2 + 3 = %d\n", sum);
  return sum == 6 ? 0 : 1;
}
