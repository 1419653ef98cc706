// expect: this emitter cannot be a part of any_of or all_of
#include <microbatch/microbatch.hpp>

using namespace microbatch;

int main() {
  const auto key = [](int item) { return item % 10; };
  auto good = by_key(key, any_of(CountWindow{100}, MaxAgeWindow{std::chrono::seconds(1)}));
#ifdef BAD
  auto bad = any_of(by_key(key, CountWindow{100}), MaxAgeWindow{std::chrono::seconds(1)});
#endif
}
