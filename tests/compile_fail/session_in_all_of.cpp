// expect: this emitter cannot be a part of all_of
#include <microbatch/microbatch.hpp>

using namespace microbatch;

int main() {
  auto good = any_of(SessionWindow{std::chrono::seconds(1)}, CountWindow{100});
#ifdef BAD
  auto bad = all_of(SessionWindow{std::chrono::seconds(1)}, CountWindow{100});
#endif
}
