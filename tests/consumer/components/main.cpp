// A call into each component that is there, which needs no server; its headers come with it.
#include <microbatch/microbatch.hpp>

#include <cstdio>
#include <memory>
#include <string>

#if __has_include(<microbatch/kafka/source.hpp>)
#include <microbatch/kafka/source.hpp>
#endif
#if __has_include(<microbatch/mongodb/document.hpp>)
#include <microbatch/mongodb/document.hpp>
#endif
#if __has_include(<microbatch/mqtt/source.hpp>)
#include <microbatch/mqtt/source.hpp>
#endif
#if __has_include(<microbatch/prometheus/endpoint.hpp>)
#include <microbatch/prometheus/endpoint.hpp>
#endif
#if __has_include(<microbatch/sqlite/durable_stream.hpp>)
#include <microbatch/sqlite/durable_stream.hpp>
#endif

namespace {

/// What a connector says of settings that it cannot take.
template <class Source, class Options>
[[maybe_unused]] void refuse(const char* component, const Options& options) {
  try {
    const Source source(options);
    std::printf("%s: expected an error\n", component);
  } catch (const microbatch::ConfigError& error) {
    std::printf("%s: %s\n", component, error.what());
  }
}

}  // namespace

int main() {
#if __has_include(<microbatch/kafka/source.hpp>)
  refuse<microbatch::kafka::Source>(
      "kafka",
      microbatch::kafka::SourceOptions{
          .properties = {{"bootstrap.servers", "localhost"}, {"group.id", "a"}, {"unknown", "b"}},
          .topics = {"topic"}});
#endif
#if __has_include(<microbatch/mongodb/document.hpp>)
  std::printf("mongodb: %s\n",
              microbatch::mongodb::Document::from_json("{\"boats\": 3}").to_json().c_str());
#endif
#if __has_include(<microbatch/mqtt/source.hpp>)
  refuse<microbatch::mqtt::Source>("mqtt", microbatch::mqtt::SourceOptions{});
#endif
#if __has_include(<microbatch/prometheus/endpoint.hpp>)
  microbatch::Metrics metrics;
  const microbatch::PrometheusEndpoint endpoint(metrics, {.port = 0});
  std::printf("prometheus: port %d\n", int{endpoint.port()});
#endif
#if __has_include(<microbatch/sqlite/durable_stream.hpp>)
  auto database = std::make_shared<microbatch::sqlite::Database>("consumer.db");
  microbatch::sqlite::DurableStream<std::string> orders(database, "orders");
  orders.append("three boats", microbatch::synced).get();
  std::puts("sqlite: synced");
#endif
}
