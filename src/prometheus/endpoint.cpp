#include <fmt/format.h>
#include <prometheus/collectable.h>
#include <prometheus/exposer.h>
#include <prometheus/metric_family.h>
#include <microbatch/core/errors.hpp>
#include <microbatch/prometheus/endpoint.hpp>

#include <algorithm>
#include <limits>
#include <string_view>
#include <utility>
#include <vector>

namespace microbatch::inline v0_1 {

namespace {

[[nodiscard]] ::prometheus::MetricFamily translated(MetricFamily&& family) {
  using Theirs = ::prometheus::MetricType;
  constexpr Theirs types[] = {Theirs::Counter, Theirs::Gauge, Theirs::Histogram};
  ::prometheus::MetricFamily out;
  out.name = std::move(family.name);
  out.help = std::move(family.help);
  out.type = types[static_cast<std::size_t>(family.type)];
  out.metric.reserve(family.series.size());
  for (auto& series : family.series) {
    ::prometheus::ClientMetric& metric = out.metric.emplace_back();
    for (auto& [name, value] : series.labels)
      metric.label.push_back({std::move(name), std::move(value)});
    switch (family.type) {
      case MetricFamily::Type::counter:
        metric.counter.value = series.value;
        break;
      case MetricFamily::Type::gauge:
        metric.gauge.value = series.value;
        break;
      case MetricFamily::Type::histogram:
        metric.histogram.sample_count = series.count;
        metric.histogram.sample_sum = series.sum;
        for (const auto& bucket : series.buckets)
          metric.histogram.bucket.push_back({bucket.so_far, bucket.upper_bound});
        metric.histogram.bucket.push_back({series.count, std::numeric_limits<double>::infinity()});
        break;
    }
  }
  return out;
}

class Adapter final : public ::prometheus::Collectable {
 public:
  explicit Adapter(Metrics& metrics) noexcept : metrics_(metrics) {}

  [[nodiscard]] std::vector<::prometheus::MetricFamily> Collect() const override {
    std::vector<::prometheus::MetricFamily> out;
    for (auto& family : metrics_.collect()) out.push_back(translated(std::move(family)));
    return out;
  }

 private:
  Metrics& metrics_;
};

/// The server takes a list of ports with letters that mean things; we take one address.
[[nodiscard]] std::string listening_at(const PrometheusOptions& options) {
  const bool v6 = options.address.find(':') != std::string::npos;
  const std::string_view letters = v6 ? "0123456789abcdefABCDEF:." : "0123456789.";
  if (options.address.empty() || options.address.find_first_not_of(letters) != std::string::npos)
    throw ConfigError(fmt::format(
        "PrometheusOptions.address must be an IP address such as 127.0.0.1 or ::1, got \"{}\"",
        options.address));
  return fmt::format("{0}{2}{1}:{3}", v6 ? "[" : "", v6 ? "]" : "", options.address, options.port);
}

void check(const PrometheusOptions& options) {
  if (options.threads < 1 || options.threads > 64)
    throw ConfigError(
        fmt::format("PrometheusOptions.threads must be from 1 to 64, got {}", options.threads));
  if (!options.path.starts_with('/') ||
      options.path.find_first_of("?# \t\r\n*$|") != std::string::npos)
    throw ConfigError(fmt::format(
        "PrometheusOptions.path must begin with / and have no blanks and no ? # * $ |, got \"{}\"",
        options.path));
}

}  // namespace

struct PrometheusEndpoint::Server {
  Server(std::shared_ptr<::prometheus::Collectable> shown, std::vector<std::string> settings)
      : collectable(std::move(shown)), exposer(std::move(settings)) {}

  std::shared_ptr<::prometheus::Collectable> collectable;
  ::prometheus::Exposer exposer;
  std::uint16_t port = 0;
};

PrometheusEndpoint::PrometheusEndpoint(Metrics& metrics, PrometheusOptions options) {
  check(options);
  const std::string at = listening_at(options);
  try {
    server_ = std::make_unique<Server>(
        prometheus_collectable(metrics),
        std::vector<std::string>{"listening_ports", at, "num_threads",
                                 std::to_string(options.threads), "request_timeout_ms", "5000"});
  } catch (const std::exception& e) {
    throw ConfigError(
        fmt::format("PrometheusEndpoint: cannot listen on {} ({}); expected an address of this "
                    "machine and a port that is free",
                    at, e.what()));
  }
  const std::vector<int> ports = server_->exposer.GetListeningPorts();
  server_->port = ports.empty() ? options.port : static_cast<std::uint16_t>(ports.front());
  server_->exposer.RegisterCollectable(server_->collectable, options.path);
}

PrometheusEndpoint::~PrometheusEndpoint() = default;

std::uint16_t PrometheusEndpoint::port() const noexcept { return server_->port; }

std::shared_ptr<::prometheus::Collectable> prometheus_collectable(Metrics& metrics) {
  return std::make_shared<Adapter>(metrics);
}

}  // namespace microbatch::inline v0_1
