// expect: the callback must be callable with Window<T>&, std::span<T> or std::span<const T>
#include <microbatch/microbatch.hpp>

int main() {
  microbatch::Stream<int> stream;
  auto good =
      microbatch::streaming(stream, microbatch::CountWindow{2}, [](microbatch::Window<int>&) {});
#ifdef BAD
  auto bad =
      microbatch::streaming(stream, microbatch::CountWindow{2}, [](microbatch::Window<long>&) {});
#endif
}
