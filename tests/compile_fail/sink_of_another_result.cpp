// expect: a sink must have put(std::span<const R>)
#include <microbatch/microbatch.hpp>

#include <string>

struct Numbers {
  void put(std::span<const int>) {}
};
struct Texts {
  void put(std::span<const std::string>) {}
};

int main() {
  microbatch::Stream<int> stream;
  const auto size = [](microbatch::Window<int>& window) { return static_cast<int>(window.size()); };
  auto good = microbatch::streaming(stream, microbatch::CountWindow{2}, size, {.sink = Numbers{}});
#ifdef BAD
  auto bad = microbatch::streaming(stream, microbatch::CountWindow{2}, size, {.sink = Texts{}});
#endif
}
