// An Asio thread pool as the executor: the callbacks run beside whatever else the program has
// posted there.

#include <fmt/format.h>

#include <asio/post.hpp>
#include <asio/thread_pool.hpp>
#include <atomic>
#include <chrono>
#include <microbatch/microbatch.hpp>
#include <mutex>
#include <set>
#include <thread>
#include <utility>

using namespace std::chrono_literals;

namespace {

/// All that is needed: execute(task). workers() says how many windows may be in flight by default.
class AsioExecutor {
 public:
  AsioExecutor(asio::thread_pool& pool, std::size_t workers) : pool_(pool), workers_(workers) {}
  void execute(microbatch::Task task) { asio::post(pool_, std::move(task)); }
  [[nodiscard]] std::size_t workers() const { return workers_; }

 private:
  asio::thread_pool& pool_;
  std::size_t workers_;
};

}  // namespace

int main() {
  constexpr std::size_t workers = 3;
  asio::thread_pool pool(workers);
  AsioExecutor executor(pool, workers);

  std::mutex mutex;
  std::set<std::thread::id> threads;
  int at_once = 0;
  int most_at_once = 0;

  microbatch::Stream<int> stream;
  auto consumer =
      microbatch::streaming(stream, microbatch::CountWindow{100},
                            [&](microbatch::Window<int>&) {
                              {
                                const std::lock_guard lock(mutex);
                                threads.insert(std::this_thread::get_id());
                                most_at_once = std::max(most_at_once, ++at_once);
                              }
                              std::this_thread::sleep_for(5ms);  // a slow insert
                              const std::lock_guard lock(mutex);
                              --at_once;
                            },
                            {.executor = executor, .order = microbatch::Order::unordered});

  for (int i = 0; i < 2'000; ++i) stream.append(i);
  const auto end = consumer.close();
  pool.join();

  fmt::print("{} items in {} windows, on {} threads of the Asio pool, up to {} at once\n",
             end.delivered, consumer.stats().windows, threads.size(), most_at_once);
  return end.delivered == 2'000 && threads.size() <= workers &&
                 most_at_once <= static_cast<int>(workers)
             ? 0
             : 1;
}
