// expect: value_type
#include <microbatch/microbatch.hpp>

struct Numbers {
  using value_type = int;
  void run(microbatch::Feed<int>& feed, std::stop_token) { (void)feed.append(1); }
};
struct Nameless {
  void run(microbatch::Feed<int>& feed, std::stop_token) { (void)feed.append(1); }
};

int main() {
  Numbers numbers;
  (void)microbatch::run(numbers, microbatch::CountWindow{1}, [](microbatch::Window<int>&) {});
#ifdef BAD
  Nameless nameless;
  (void)microbatch::run(nameless, microbatch::CountWindow{1}, [](microbatch::Window<int>&) {});
#endif
}
