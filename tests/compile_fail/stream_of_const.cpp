// expect: items are moved, so the item type must not be const or volatile
#include <microbatch/microbatch.hpp>

int main() {
  microbatch::Stream<int> good;
  (void)good.append(1);
#ifdef BAD
  microbatch::Stream<const int> bad;
#endif
}
