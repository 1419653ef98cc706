// expect: by_key of an emitter that goes by one grid of arrival times
#include <microbatch/microbatch.hpp>

using namespace microbatch;

int main() {
  const auto key = [](int item) { return item % 10; };
  const auto when = [](int item) { return std::chrono::seconds(item); };
  auto good = by_key(key, TumblingWindow{std::chrono::seconds(1), when});
#ifdef BAD
  auto bad = by_key(key, FixedTimeWindow{std::chrono::seconds(1)});
#endif
}
