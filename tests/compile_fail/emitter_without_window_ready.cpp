// expect: an emitter needs `Readiness window_ready(Pending<T>&, TimePoint)`
#include <microbatch/microbatch.hpp>

struct Good {
  microbatch::Readiness window_ready(microbatch::Pending<int>&, microbatch::TimePoint) {
    return {};
  }
};
struct Bad {
  microbatch::Readiness ready(microbatch::Pending<int>&, microbatch::TimePoint) { return {}; }
};

int main() {
  microbatch::Stream<int> stream;
  auto good = microbatch::streaming(stream, Good{}, [](microbatch::Window<int>&) {});
#ifdef BAD
  auto bad = microbatch::streaming(stream, Bad{}, [](microbatch::Window<int>&) {});
#endif
}
