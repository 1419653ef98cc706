// expect: a stream of void carries nothing
#include <microbatch/microbatch.hpp>

int main() {
  microbatch::Stream<int> good;
  (void)good.append(1);
#ifdef BAD
  microbatch::Stream<void> bad;
#endif
}
