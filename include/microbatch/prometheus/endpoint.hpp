#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "../metrics/metrics.hpp"

namespace prometheus {
class Collectable;
}

namespace microbatch::inline v0_1 {

struct PrometheusOptions {
  std::string address = "127.0.0.1";  ///< an IP address of this machine
  std::uint16_t port = 9464;          ///< 0: any that is free, see PrometheusEndpoint::port
  std::string path = "/metrics";
  std::size_t threads = 2;  ///< 1 to 64, for scrapes at the same time
};

/// Answers Prometheus' scrapes over HTTP, from its own threads (prometheus-cpp's server). On the
/// loopback address unless told otherwise: whoever can reach it can read it, there is no password.
///
/// Use where the program has no HTTP server of its own; there, answer prometheus_text().
/// Threads: any. The metrics must outlive it. A reader that is slow or silent holds up one of its
/// threads for some seconds, and no stream.
/// Errors: ConfigError where it cannot listen there, with the address and the port.
///
///     microbatch::Metrics metrics;
///     metrics.watch(consumer);
///     microbatch::PrometheusEndpoint endpoint(metrics);   // http://127.0.0.1:9464/metrics
class PrometheusEndpoint {
 public:
  explicit PrometheusEndpoint(Metrics& metrics, PrometheusOptions options = {});
  PrometheusEndpoint(const PrometheusEndpoint&) = delete;
  PrometheusEndpoint& operator=(const PrometheusEndpoint&) = delete;
  /// Answers what has been asked, and stops.
  ~PrometheusEndpoint();

  [[nodiscard]] std::uint16_t port() const noexcept;

 private:
  struct Server;
  std::unique_ptr<Server> server_;
};

/// The metrics as prometheus-cpp takes them, for a program that has a prometheus::Exposer or
/// Registry of its own. The metrics must outlive it.
[[nodiscard]] std::shared_ptr<::prometheus::Collectable> prometheus_collectable(Metrics& metrics);

}  // namespace microbatch::inline v0_1
