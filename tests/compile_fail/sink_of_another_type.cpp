// expect: to() needs a sink with put(std::span<const R>), or a function of a const R
#include <microbatch/microbatch.hpp>

#include <string>
#include <vector>

using namespace microbatch;

int main() {
  const std::vector<int> numbers;
  auto good = from(numbers) | window(CountWindow{2}) | to([](int) {});
#ifdef BAD
  auto bad = from(numbers) | window(CountWindow{2}) | to([](const std::string&) {});
#endif
}
