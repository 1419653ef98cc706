// expect: this emitter cannot be a part of any_of or all_of
#include <microbatch/microbatch.hpp>

using namespace microbatch;

int main() {
  const SlidingCountWindow last{100, 10};
#ifdef BAD
  auto bad = any_of(last, MaxAgeWindow{std::chrono::seconds(1)});
#endif
}
