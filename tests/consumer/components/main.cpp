// A call into each component that is there: its headers come with it.
#include <microbatch/microbatch.hpp>

#include <cstdio>
#include <string>

#if __has_include(<microbatch/sqlite/durable_stream.hpp>)
#include <microbatch/sqlite/durable_stream.hpp>
#endif
#if __has_include(<microbatch/prometheus/endpoint.hpp>)
#include <microbatch/prometheus/endpoint.hpp>
#endif

int main() {
#if __has_include(<microbatch/sqlite/durable_stream.hpp>)
  auto database = std::make_shared<microbatch::sqlite::Database>("consumer.db");
  microbatch::sqlite::DurableStream<std::string> orders(database, "orders");
  orders.append("three boats", microbatch::synced).get();
  std::puts("sqlite: synced");
#endif
#if __has_include(<microbatch/prometheus/endpoint.hpp>)
  microbatch::Metrics metrics;
  const microbatch::PrometheusEndpoint endpoint(metrics, {.port = 0});
  std::printf("prometheus: port %d\n", int{endpoint.port()});
#endif
}
