// Both halves work, in one process, and see types of their own.
#include <cstddef>
#include <cstdio>

std::size_t this_half(int& sum);
std::size_t next_half(int& sum);

int main() {
  int first = 0;
  int second = 0;
  const std::size_t small = this_half(first);
  const std::size_t large = next_half(second);
  std::printf("%d with options of %zu bytes, %d with options of %zu bytes\n", first, small, second,
              large);
  return first == 6 && second == 6 && large >= small + 4096 ? 0 : 1;
}
