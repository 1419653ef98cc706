// expect: timestamp function takes a const item and returns a std::chrono::sys_time
#include <microbatch/microbatch.hpp>

using namespace microbatch;

int main() {
  Stream<int> stream;
  const auto callback = [](Window<int>&) {};
  const auto good = [](int item) { return std::chrono::milliseconds(item); };
  auto consumer = streaming(stream, TumblingWindow{std::chrono::seconds(1), good}, callback);
#ifdef BAD
  const auto bad = [](int item) { return item; };
  auto other = streaming(stream, TumblingWindow{std::chrono::seconds(1), bad}, callback);
#endif
}
