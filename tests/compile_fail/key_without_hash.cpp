// expect: by_key's key must have a std::hash
#include <microbatch/microbatch.hpp>

using namespace microbatch;

struct Key {
  int value;
  friend bool operator==(const Key&, const Key&) = default;
};

int main() {
  Stream<int> stream;
  const auto callback = [](Window<int>&) {};
  auto good = streaming(stream, by_key([](int item) { return item; }, CountWindow{2}), callback);
#ifdef BAD
  auto bad =
      streaming(stream, by_key([](int item) { return Key{item}; }, CountWindow{2}), callback);
#endif
}
