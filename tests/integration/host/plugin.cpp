// A plugin: streams of its own inside a library that its host opens and closes.

#include <microbatch/microbatch.hpp>

#include <atomic>
#include <thread>

using namespace microbatch;

namespace {

/// A static stream in a library: gone when the library is closed.
Stream<long>& kept() {
  static Stream<long> stream({.name = "kept"});
  return stream;
}

}  // namespace

/// Delivers `n` items from two threads, the caller's among them; returns how many arrived.
extern "C" long run_plugin(long n) {
  std::atomic<long> sum{0};
  Stream<long> stream({.arrival_stamps = true});
  auto consumer = streaming(stream, CountWindow{64},
                            [&](Window<long>& window) { sum += static_cast<long>(window.size()); });
  std::jthread other([&] {
    for (long i = 0; i < n / 2; ++i) stream.append(i);
  });
  // The caller's thread lives on: through a Producer it leaves nothing behind that would keep the
  // library.
  auto producer = stream.producer();
  for (long i = n / 2; i < n; ++i) producer.append(i);
  other.join();
  (void)kept().producer().append(1);
  (void)consumer.close();
  return sum;
}
