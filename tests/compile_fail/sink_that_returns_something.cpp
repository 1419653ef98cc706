// expect: a sink's put must return nothing, or PutErrors
#include <microbatch/microbatch.hpp>

struct Picks {
  microbatch::PutErrors put(std::span<const int>) { return {}; }
};
struct Counts {
  int put(std::span<const int>) { return 0; }
};

int main() {
  microbatch::Stream<int> stream;
  const auto size = [](microbatch::Window<int>& window) { return static_cast<int>(window.size()); };
  auto good = microbatch::streaming(stream, microbatch::CountWindow{2}, size, {.sink = Picks{}});
#ifdef BAD
  auto bad = microbatch::streaming(stream, microbatch::CountWindow{2}, size, {.sink = Counts{}});
#endif
}
