// expect: the item's destructor must not throw
#include <microbatch/microbatch.hpp>

struct Quiet {
  Quiet() = default;
  Quiet(Quiet&&) noexcept {}
  ~Quiet() {}
};
struct Loud {
  Loud() = default;
  Loud(Loud&&) noexcept {}
  ~Loud() noexcept(false) {}
};

int main() {
  microbatch::Stream<Quiet> good;
#ifdef BAD
  microbatch::Stream<Loud> bad;
#endif
}
