// expect: a stream owns its items
#include <microbatch/microbatch.hpp>

int main() {
  microbatch::Stream<int> good;
  (void)good.append(1);
#ifdef BAD
  microbatch::Stream<int&> bad;
#endif
}
