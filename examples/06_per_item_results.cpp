// Windows inside, one answer per item outside: a future, a completion callback, a coroutine, and a
// function that is called with one request and works by the batch.

#include <fmt/format.h>

#include <atomic>
#include <chrono>
#include <coroutine>
#include <exception>
#include <microbatch/microbatch.hpp>
#include <span>
#include <string>
#include <thread>
#include <vector>

using namespace std::chrono_literals;

namespace {

/// A coroutine that begins at once and that nobody waits for.
struct Detached {
  struct promise_type {
    Detached get_return_object() { return {}; }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void return_void() {}
    void unhandled_exception() { std::terminate(); }
  };
};

Detached place_order(microbatch::Stream<std::string>& stream, std::string order,
                     std::atomic<int>& answers) {
  auto settled = stream.append(order, microbatch::ack);
  try {
    co_await settled;
    fmt::print("co_await:   {} is in\n", order);
  } catch (const std::exception& error) {
    fmt::print("co_await:   {} is not in: {}\n", order, error.what());
  }
  ++answers;
}

bool orders() {
  std::atomic<int> answers = 0;
  microbatch::Stream<std::string> stream;
  auto consumer = microbatch::streaming(
      stream, microbatch::any_of(microbatch::CountWindow{4}, microbatch::MaxAgeWindow{5ms}),
      [](microbatch::Window<std::string>& window) {
        fmt::print("{}\n", window);
        for (std::size_t i = 0; i < window.size(); ++i)
          if (window[i].find("0 x") != std::string::npos) window.reject(i, "nothing ordered");
      });

  auto good = stream.append("2 x tea", microbatch::ack);
  auto bad = stream.append("0 x tea", microbatch::ack);
  stream.append("3 x milk", [&](std::exception_ptr error) {
    fmt::print("completion: 3 x milk is {}\n", error ? "not in" : "in");
    ++answers;
  });
  place_order(stream, "1 x cake", answers);
  place_order(stream, "0 x cake", answers);

  good.get();
  fmt::print("future:     2 x tea is in\n");
  ++answers;
  try {
    bad.get();
  } catch (const microbatch::Rejected& error) {
    fmt::print("future:     0 x tea is not in: {}\n", error.what());
    ++answers;
  }
  consumer.close();
  return answers == 5;
}

bool squares() {
  std::atomic<int> batches = 0;
  std::atomic<int> right = 0;
  microbatch::BatchedFunction<int, int> square(
      microbatch::any_of(microbatch::CountWindow{4}, microbatch::MaxAgeWindow{50ms}),
      [&](std::span<int> requests) {  // a model, a query with IN (...), anything cheaper together
        ++batches;
        std::vector<int> responses;
        for (const int request : requests) responses.push_back(request * request);
        return responses;
      });

  {
    std::vector<std::jthread> callers;
    for (int i = 1; i <= 8; ++i)
      callers.emplace_back([&, i] { right += square(i) == i * i ? 1 : 0; });
  }
  fmt::print("function:   {} of 8 callers got their own square, from {} batches\n", right.load(),
             batches.load());
  return right == 8 && batches <= 8;
}

}  // namespace

int main() {
  const bool answered = orders();
  const bool squared = squares();
  return answered && squared ? 0 : 1;
}
