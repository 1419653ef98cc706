#include <microbatch/core/atomic.hpp>
#include <microbatch/core/errors.hpp>
#include <microbatch/metrics/metrics.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <utility>

namespace microbatch::inline v0_1 {

namespace {

[[nodiscard]] bool is_name(std::string_view text, bool colons) noexcept {
  if (text.empty() || (text[0] >= '0' && text[0] <= '9')) return false;
  return std::all_of(text.begin(), text.end(), [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           (colons && c == ':');
  });
}

/// Length of the UTF-8 sequence at the front, 0 where there is none.
[[nodiscard]] std::size_t utf8_length(std::string_view text) noexcept {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned first = byte(0);
  if (first < 0x80) return 1;
  const std::size_t n = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  if (first < 0xC2 || first > 0xF4 || text.size() < n) return 0;
  for (std::size_t i = 1; i < n; ++i)
    if ((byte(i) & 0xC0) != 0x80) return 0;
  const unsigned second = byte(1);  // overlong forms, surrogates, beyond U+10FFFF
  if ((first == 0xE0 && second < 0xA0) || (first == 0xED && second > 0x9F) ||
      (first == 0xF0 && second < 0x90) || (first == 0xF4 && second > 0x8F))
    return 0;
  return n;
}

/// Prometheus refuses a whole scrape for one byte that is no UTF-8.
[[nodiscard]] std::string as_utf8(std::string_view text) {
  std::string valid;
  while (!text.empty()) {
    const std::size_t n = utf8_length(text);
    valid += n == 0 ? "\xEF\xBF\xBD" : text.substr(0, n);
    text.remove_prefix(std::max<std::size_t>(n, 1));
  }
  return valid;
}

[[nodiscard]] Labels checked(Labels labels, std::string_view where) {
  // What our own metrics use; `le` is the histograms'.
  constexpr std::string_view taken[] = {"stream", "cause", "reason", "le"};
  for (std::size_t i = 0; i < labels.size(); ++i) {
    auto& [name, value] = labels[i];
    if (!is_name(name, false) || name.starts_with("__"))
      throw ConfigError(
          fmt::format("{}: \"{}\" is no label name; expected letters, digits and _, "
                      "no digit first, no __ first",
                      where, name));
    if (std::find(std::begin(taken), std::end(taken), name) != std::end(taken))
      throw ConfigError(
          fmt::format("{}: the label \"{}\" is the library's own; expected another", where, name));
    for (std::size_t k = 0; k < i; ++k)
      if (labels[k].first == name)
        throw ConfigError(fmt::format("{}: the label \"{}\" is given twice", where, name));
    value = as_utf8(value);
  }
  return labels;
}

}  // namespace

struct Metrics::Gauge::Shown {
  Shown(std::string name_of, std::string help_of, Labels labels_of, std::function<double()> f)
      : name(std::move(name_of)),
        help(std::move(help_of)),
        labels(std::move(labels_of)),
        value(std::move(f)) {}

  const std::string name;
  const std::string help;
  const Labels labels;
  std::mutex mutex;                  // held while the function is called
  std::function<double()> value;     // under the mutex; empty when the gauge has gone
  detail::Atomic<bool> gone{false};  // a hint for cleaning up, read without the mutex
};

void Metrics::Gauge::end() noexcept {
  if (!shown_) return;
  shown_->gone.store(true, std::memory_order_relaxed);
  std::function<double()> last;
  std::lock_guard lock(shown_->mutex);  // a call that is under way ends first
  last.swap(shown_->value);
}

Metrics::Gauge& Metrics::Gauge::operator=(Gauge&& other) noexcept {
  if (this != &other) {
    end();
    shown_ = std::move(other.shown_);
  }
  return *this;
}

Metrics::Metrics(MetricsOptions options) : options_(options) {
  if (options_.max_series < 1 || options_.max_series > 1'000'000)
    throw ConfigError(fmt::format("MetricsOptions.max_series must be from 1 to 1000000, got {}",
                                  options_.max_series));
}

void Metrics::forget_the_gone() {
  std::erase_if(watched_, [](const Watched& w) { return w.probe->gone(); });
  std::erase_if(gauges_,
                [](const auto& gauge) { return gauge->gone.load(std::memory_order_relaxed); });
}

bool Metrics::has_room() {
  forget_the_gone();
  if (watched_.size() + gauges_.size() < options_.max_series) return true;
  ++refused_;
  return false;
}

bool Metrics::watch_probe(std::shared_ptr<const Probe> probe, Labels labels) {
  Labels all{{"stream", ""}};
  for (auto& label : checked(std::move(labels), "Metrics::watch")) all.push_back(std::move(label));
  Sample sample;
  if (!probe->read(sample)) return false;
  all.front().second = as_utf8(sample.stream);
  std::lock_guard lock(mutex_);
  if (!has_room()) return false;
  for (const Watched& other : watched_)
    if (other.labels == all)
      throw UsageError(
          fmt::format("Metrics::watch: a consumer with stream=\"{}\" and the same labels is "
                      "watched already; expected a StreamOptions.name or labels that differ",
                      all.front().second));
  watched_.push_back({std::move(probe), std::move(all)});
  return true;
}

Metrics::Gauge Metrics::gauge(std::string name, std::string help, Labels labels,
                              std::function<double()> value) {
  if (!is_name(name, true))
    throw ConfigError(
        fmt::format("Metrics::gauge: \"{}\" is no metric name; expected letters, "
                    "digits, _ and :, no digit first",
                    name));
  if (!value) throw ConfigError("Metrics::gauge: the function is empty");
  for (const MetricFamily& own : metric_families({}))
    if (own.name == name)
      throw ConfigError(
          fmt::format("Metrics::gauge: {} is the library's own; expected another name", name));
  labels = checked(std::move(labels), "Metrics::gauge");
  std::lock_guard lock(mutex_);
  if (!has_room()) return {};
  for (const auto& other : gauges_)
    if (other->name == name && other->labels == labels)
      throw UsageError(fmt::format(
          "Metrics::gauge: there is a {} with the same labels; expected labels that differ", name));
  gauges_.push_back(std::make_shared<Gauge::Shown>(std::move(name), as_utf8(help),
                                                   std::move(labels), std::move(value)));
  return Gauge(gauges_.back());
}

std::vector<MetricFamily> Metrics::collect() {
  std::vector<Watched> watched;
  std::vector<std::shared_ptr<Gauge::Shown>> gauges;
  std::uint64_t refused = 0;
  {
    std::lock_guard lock(mutex_);
    forget_the_gone();
    watched = watched_;
    gauges = gauges_;
    refused = refused_;
  }
  std::vector<LabelledSample> samples;
  samples.reserve(watched.size());
  for (Watched& w : watched) {
    Sample sample;
    if (w.probe->read(sample)) samples.push_back({std::move(w.labels), std::move(sample)});
  }
  std::vector<MetricFamily> families = metric_families(samples);

  const auto family_of = [&](const Gauge::Shown& gauge) -> MetricFamily& {
    for (MetricFamily& family : families)
      if (family.name == gauge.name) return family;
    return families.emplace_back(MetricFamily{.name = gauge.name, .help = gauge.help});
  };
  std::uint64_t failed = 0;
  for (const auto& gauge : gauges) {
    try {
      std::lock_guard lock(gauge->mutex);
      if (!gauge->value) continue;
      const double value = gauge->value();
      family_of(*gauge).series.push_back({.labels = gauge->labels, .value = value});
    } catch (...) {
      ++failed;
    }
  }
  {
    std::lock_guard lock(mutex_);
    errors_ += failed;
    failed = errors_;
  }
  const auto own = [&](std::string name, std::string help, std::uint64_t value) {
    families.push_back({.name = std::move(name),
                        .help = std::move(help),
                        .type = MetricFamily::Type::counter,
                        .series = {{.value = static_cast<double>(value)}}});
  };
  own("microbatch_metrics_refused_total", "Consumers and gauges beyond max_series.", refused);
  own("microbatch_metrics_errors_total", "Gauges whose function threw.", failed);
  return families;
}

}  // namespace microbatch::inline v0_1
