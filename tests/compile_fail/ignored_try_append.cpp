// expect: nodiscard
#include <microbatch/microbatch.hpp>

// Whoever ignores what try_append, append_for or append_range answered has lost an item silently.
#pragma GCC diagnostic error "-Wunused-result"

int main() {
  microbatch::Stream<int> stream;
  stream.append(1);
  (void)stream.try_append(2);
#ifdef BAD
  stream.try_append(3);
#endif
}
