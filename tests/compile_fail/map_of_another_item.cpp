// expect: map's function must be callable with an item
#include <microbatch/microbatch.hpp>

#include <string>
#include <vector>

using namespace microbatch;

int main() {
  const std::vector<int> numbers;
  auto good = from(numbers) | map([](int i) { return 2 * i; });
#ifdef BAD
  auto bad = from(numbers) | map([](const std::string& text) { return text; });
#endif
}
