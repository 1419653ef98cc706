// What does including the umbrella header add to a translation unit at -O0, with the compiler that
// built this program? Beside it: the headers of fmt and the standard library that it needs, and a
// program that makes a stream and a consumer.

#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <unistd.h>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

namespace {

namespace fs = std::filesystem;

void compile(benchmark::State& state, const char* source) {
  const fs::path file = fs::temp_directory_path() / fmt::format("compile_time_{}.cpp", ::getpid());
  std::ofstream(file) << source;
  const std::string command = fmt::format("'{}' -std=c++20 -O0 {} -c '{}' -o /dev/null",
                                          MICROBATCH_COMPILER, MICROBATCH_INCLUDES, file.string());
  for (auto _ : state)
    if (std::system(command.c_str()) != 0) {
      state.SkipWithError("the compiler did not take it");
      break;
    }
  fs::remove(file);
}

constexpr auto nothing = "";
constexpr auto fmt_alone = "#include <fmt/format.h>\n";
// What the umbrella header includes of the standard library, but for what <fmt/format.h> brings.
constexpr auto standard_headers = R"(
#include <fmt/format.h>
#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <coroutine>
#include <deque>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <ranges>
#include <span>
#include <stop_token>
#include <thread>
#include <tuple>
)";
constexpr auto umbrella = "#include <microbatch/microbatch.hpp>\n";
constexpr auto umbrella_in_use = R"(
#include <microbatch/microbatch.hpp>
int main() {
  microbatch::Stream<int> stream;
  auto consumer = microbatch::streaming(stream, microbatch::CountWindow{100},
                                        [](microbatch::Window<int>&) {});
  stream.append(1);
  consumer.close();
}
)";

void settings(benchmark::internal::Benchmark* b) {
  b->Unit(benchmark::kMillisecond)->UseRealTime()->Iterations(5);
}

BENCHMARK_CAPTURE(compile, nothing, nothing)->Apply(settings);
BENCHMARK_CAPTURE(compile, fmt_alone, fmt_alone)->Apply(settings);
BENCHMARK_CAPTURE(compile, fmt_and_standard_headers, standard_headers)->Apply(settings);
BENCHMARK_CAPTURE(compile, umbrella, umbrella)->Apply(settings);
BENCHMARK_CAPTURE(compile, umbrella_in_use, umbrella_in_use)->Apply(settings);

}  // namespace

BENCHMARK_MAIN();
