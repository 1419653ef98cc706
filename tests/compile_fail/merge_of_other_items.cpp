// expect: merge needs flows of the same item type
#include <microbatch/microbatch.hpp>

#include <string>
#include <vector>

using namespace microbatch;

int main() {
  const std::vector<int> numbers;
  const std::vector<std::string> texts;
  auto good = merge(from(numbers), from(texts) | map([](const std::string&) { return 1; }));
#ifdef BAD
  auto bad = merge(from(numbers), from(texts));
#endif
}
