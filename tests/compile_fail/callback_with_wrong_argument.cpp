// expect: the callback must be callable with Window<T>&, std::span<T> or std::span<const T>
#include <microbatch/microbatch.hpp>

#include <string>

int main() {
  microbatch::Stream<int> stream;
  auto good =
      microbatch::streaming(stream, microbatch::CountWindow{2}, [](std::span<const int>) {});
#ifdef BAD
  auto bad = microbatch::streaming(stream, microbatch::CountWindow{2}, [](std::string&) {});
#endif
}
