// expect: items are moved from the producer to the window; this type cannot be moved
#include <microbatch/microbatch.hpp>

#include <memory>

struct Immovable {
  Immovable() = default;
  Immovable(Immovable&&) = delete;
};

int main() {
  microbatch::Stream<std::unique_ptr<Immovable>> good;
  (void)good.append(std::make_unique<Immovable>());
#ifdef BAD
  microbatch::Stream<Immovable> bad;
#endif
}
