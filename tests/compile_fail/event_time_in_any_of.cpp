// expect: this emitter cannot be a part of any_of or all_of
#include <microbatch/microbatch.hpp>

using namespace microbatch;

int main() {
  const TumblingWindow minutes{std::chrono::minutes(1),
                               [](int second) { return std::chrono::seconds(second); }};
#ifdef BAD
  auto bad = any_of(minutes, CountWindow{100});
#endif
}
