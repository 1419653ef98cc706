// expect: this item type cannot be copied
#include <memory>

#include <microbatch/microbatch.hpp>

using namespace microbatch;

int main() {
  Stream<int> copyable;
  auto good = streaming(copyable, SlidingCountWindow{4, 2}, [](Window<int>&) {});
#ifdef BAD
  using Item = std::unique_ptr<int>;
  Stream<Item> move_only;
  auto bad = streaming(move_only, SlidingCountWindow{4, 2}, [](Window<Item>&) {});
#endif
}
