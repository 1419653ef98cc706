// A pipeline with every kind of trouble, for a Prometheus server to scrape until standard input
// ends. It prints the port of its endpoint, and at the end its ledgers as `STREAM NAME VALUE`.

#include <fmt/format.h>
#include <microbatch/microbatch.hpp>
#include <microbatch/prometheus/endpoint.hpp>

#include <array>
#include <chrono>
#include <cstdio>
#include <stdexcept>
#include <string>
#include <thread>

using namespace microbatch;
using namespace std::chrono_literals;

namespace {

void print_ledger(const std::string& stream, const Stats& stats) {
  fmt::print("{0} accepted {1}\n{0} delivered {2}\n{0} dead_lettered {3}\n{0} dropped {4}\n",
             stream, stats.accepted, stats.delivered, stats.dead_lettered, stats.dropped());
}

}  // namespace

int main() {
  ThreadPool pool{2};
  Stream<int> orders({.name = "orders",
                      .capacity = 4096,
                      .weight = [](int) { return 100; },
                      .arrival_stamps = true});
  const std::string odd = "odd \"name\"\nwith \\ everything";
  Stream<int> clicks({.name = odd, .capacity = 64, .overflow = Overflow::drop_oldest});

  auto inserts = streaming(orders, any_of(CountWindow{128}, MaxAgeWindow{10ms}),
                           [](Window<int>& window) {
                             std::this_thread::sleep_for(500us);
                             for (const int order : window)
                               if (order % 1000 == 999)
                                 throw std::runtime_error("no such customer");
                           },
                           {.executor = pool,
                            .on_failure = {.max_attempts = 1, .first_delay = 1ms},
                            .histograms = true});
  auto counts = streaming(clicks, RelaxedTimeWindow{20ms},
                          [](Window<int>&) { std::this_thread::sleep_for(5ms); },
                          {.executor = pool, .histograms = true});

  Metrics metrics;
  metrics.watch(inserts, {{"team", "sales"}});
  metrics.watch(counts);
  double lag = 0;
  const auto gauge =
      metrics.gauge("microbatch_kafka_lag_messages", "Messages not committed yet.",
                    {{"topic", "orders"}, {"partition", "0"}}, [&] { return ++lag; });
  const PrometheusEndpoint endpoint(metrics, {.port = 0});
  fmt::print("{}\n", endpoint.port());
  std::fflush(stdout);

  {
    std::array<std::jthread, 2> producers{std::jthread([&](const std::stop_token& stop) {
                                            for (int i = 0; !stop.stop_requested();) {
                                              for (int k = 0; k < 20; ++k) orders.append(i++);
                                              std::this_thread::sleep_for(1ms);
                                            }
                                          }),
                                          std::jthread([&](const std::stop_token& stop) {
                                            for (int i = 0; !stop.stop_requested(); ++i) {
                                              for (int k = 0; k < 200; ++k) clicks.append(i);
                                              std::this_thread::sleep_for(20ms);
                                            }
                                          })};
    for (int c = 0; c != '\n' && c != EOF;) c = std::getchar();  // the order to come to rest
  }
  (void)inserts.close();
  (void)counts.close();
  print_ledger("orders", inserts.stats());
  print_ledger("clicks", counts.stats());
  fmt::print("end\n");
  std::fflush(stdout);
  while (std::getchar() != EOF) continue;  // the last scrape
}
