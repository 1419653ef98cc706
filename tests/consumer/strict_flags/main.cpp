// Much of the library in one file, for users' warnings: keyed windows, operators, failures,
// metrics, an executor of one's own.
#include <fmt/format.h>

#include <microbatch/async_append.hpp>
#include <microbatch/io/file_sinks.hpp>
#include <microbatch/io/file_source.hpp>
#include <microbatch/microbatch.hpp>
#include <microbatch/testing/manual_clock.hpp>
#include <microbatch/testing/manual_executor.hpp>
#include <microbatch/testing/recording_sink.hpp>
#include <microbatch/testing/vector_source.hpp>

#include <chrono>
#include <cstdio>
#include <stdexcept>
#include <string>

using namespace std::chrono_literals;
using microbatch::Window;

namespace {

struct Reading {
  std::string place;
  int value = 0;
};

int sums_by_place() {
  int sum = 0;
  microbatch::Stream<Reading> stream({.name = "readings", .capacity = 64});
  microbatch::ThreadPool pool(1);
  auto consumer = microbatch::streaming(
      stream,
      microbatch::by_key(
          [](const Reading& reading) { return reading.place; },
          microbatch::any_of(microbatch::CountWindow{2}, microbatch::MaxAgeWindow{1s})),
      [&sum](Window<Reading>& window) {
        if (window.key<std::string>() != window[0].place) throw std::runtime_error("another key");
        for (const Reading& reading : window) sum += reading.value;
      },
      {.executor = pool, .histograms = true});
  microbatch::Metrics metrics;
  metrics.watch(consumer);
  auto producer = stream.producer();
  producer.append({"Uhldingen", 1});
  producer.append({"Meersburg", 2});
  producer.append({"Uhldingen", 3});
  consumer.close();
  return sum;
}

}  // namespace

int main() {
  const int sum = sums_by_place();
  std::printf("1 + 2 + 3 = %d\n", sum);
  return sum == 6 ? 0 : 1;
}
