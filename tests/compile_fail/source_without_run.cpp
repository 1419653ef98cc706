// expect: a source needs `using value_type` and `void run(Feed<value_type>&, std::stop_token)`
#include <microbatch/microbatch.hpp>

struct Numbers {
  using value_type = int;
  void run(microbatch::Feed<int>& feed, std::stop_token) { (void)feed.append(1); }
};
struct Idle {
  using value_type = int;
};

int main() {
  Numbers numbers;
  (void)microbatch::run(numbers, microbatch::CountWindow{1}, [](microbatch::Window<int>&) {});
#ifdef BAD
  Idle idle;
  (void)microbatch::run(idle, microbatch::CountWindow{1}, [](microbatch::Window<int>&) {});
#endif
}
