// A oneTBB arena as the executor: the callbacks are scheduled with the program's other TBB work,
// and may use parallel algorithms themselves.

#include <fmt/format.h>
#include <tbb/blocked_range.h>
#include <tbb/parallel_reduce.h>
#include <tbb/task_arena.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <microbatch/microbatch.hpp>
#include <utility>

namespace {

/// TBB copies what it enqueues, and a task cannot be copied: a shared pointer carries it.
class ArenaExecutor {
 public:
  void execute(microbatch::Task task) {
    arena_.enqueue([task = std::make_shared<microbatch::Task>(std::move(task))] { (*task)(); });
  }
  [[nodiscard]] std::size_t workers() const {
    return static_cast<std::size_t>(arena_.max_concurrency());
  }

 private:
  tbb::task_arena arena_;  // as many threads as the machine has cores
};

std::uint64_t sum_of_squares(const microbatch::Window<std::uint64_t>& window) {
  return tbb::parallel_reduce(
      tbb::blocked_range<const std::uint64_t*>(window.begin(), window.end()), std::uint64_t{0},
      [](const auto& part, std::uint64_t sum) {
        for (const std::uint64_t item : part) sum += item * item;
        return sum;
      },
      std::plus<>());
}

}  // namespace

int main() {
  constexpr std::uint64_t n = 100'000;
  ArenaExecutor executor;
  std::atomic<std::uint64_t> total = 0;

  microbatch::Stream<std::uint64_t> stream;
  auto consumer = microbatch::streaming(
      stream, microbatch::CountWindow{4'096},
      [&](microbatch::Window<std::uint64_t>& window) { total += sum_of_squares(window); },
      {.executor = executor, .order = microbatch::Order::unordered});

  auto producer = stream.producer();
  for (std::uint64_t i = 1; i <= n; ++i) producer.append(i);
  consumer.close();

  const std::uint64_t expected = n * (n + 1) * (2 * n + 1) / 6;
  fmt::print("1² + 2² + ... + {}² = {}, in {} windows on a TBB arena\n", n, total.load(),
             consumer.stats().windows);
  return total == expected ? 0 : 1;
}
