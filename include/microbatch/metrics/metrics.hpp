#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "../core/probe.hpp"
#include "metric_family.hpp"

namespace microbatch::inline v0_1 {

/// A Consumer or an Engine: what has a probe.
template <class C>
concept Observable = requires(const C& consumer) {
  { consumer.probe() } -> std::convertible_to<std::shared_ptr<const Probe>>;
};

struct MetricsOptions {
  /// Consumers and gauges at a time. What comes beyond is not shown, and counted.
  std::size_t max_series = 1000;
};

/// What is to be seen of a program: its consumers, and gauges of its own, read anew at each
/// collect(). A consumer that ends leaves by itself.
///
/// Use one per program. Threads: any, all functions; a slow reader holds up nobody.
/// Errors: ConfigError for a name or label that Prometheus would refuse; UsageError for labels that
/// a running consumer has already.
///
///     microbatch::Metrics metrics;
///     metrics.watch(consumer);                                 // by its stream's name
///     metrics.watch(other, {{"tenant", tenant}});              // ... and a label of your own
///     std::string text = microbatch::prometheus_text(metrics.collect());
class Metrics {
 public:
  /// A gauge of the program's own, shown until this goes; its function is not called after that.
  class Gauge {
   public:
    Gauge() noexcept = default;
    Gauge(Gauge&&) noexcept = default;
    Gauge& operator=(Gauge&& other) noexcept;
    ~Gauge() { end(); }

   private:
    friend class Metrics;
    struct Shown;
    explicit Gauge(std::shared_ptr<Shown> shown) noexcept : shown_(std::move(shown)) {}
    void end() noexcept;
    std::shared_ptr<Shown> shown_;
  };

  explicit Metrics(MetricsOptions options = {});

  /// Shows a consumer under the label `stream` (its stream's name) and labels of your own, whose
  /// values may be any text. False where there are max_series already.
  template <Observable C>
  bool watch(const C& consumer, Labels labels = {}) {
    return watch_probe(consumer.probe(), std::move(labels));
  }
  /// Shows what `value` returns at each collect(); what it throws is counted, and the gauge left
  /// out. Gauges of one name share the first one's help.
  [[nodiscard]] Gauge gauge(std::string name, std::string help, Labels labels,
                            std::function<double()> value);

  [[nodiscard]] std::vector<MetricFamily> collect();

 private:
  struct Watched {
    std::shared_ptr<const Probe> probe;
    Labels labels;
  };

  bool watch_probe(std::shared_ptr<const Probe> probe, Labels labels);
  [[nodiscard]] bool has_room();
  void forget_the_gone();

  const MetricsOptions options_;
  std::mutex mutex_;
  std::vector<Watched> watched_;
  std::vector<std::shared_ptr<Gauge::Shown>> gauges_;
  std::uint64_t refused_ = 0;
  std::uint64_t errors_ = 0;
};

}  // namespace microbatch::inline v0_1
