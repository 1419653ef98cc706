#include <microbatch/metrics/metric_family.hpp>

#include <fmt/format.h>

#include <cstddef>
#include <string_view>
#include <utility>

namespace microbatch::inline v0_1 {

namespace {

using Type = MetricFamily::Type;
using Series = MetricFamily::Series;

double seconds(Duration d) { return std::chrono::duration<double>(d).count(); }

class Families {
 public:
  explicit Families(const std::vector<LabelledSample>& samples) : samples_(samples) {}

  /// One series per sample: value(sample).
  template <class F>
  void add(Type type, std::string_view name, std::string_view help, F value) {
    MetricFamily& family = begin(type, name, help);
    for (const auto& [labels, sample] : samples_)
      family.series.push_back({.labels = labels, .value = static_cast<double>(value(sample))});
  }

  /// One series per sample and value of `label`: value(sample, i) for names(i), i from 0 to n.
  template <class N, class F>
  void add_by(std::string_view name, std::string_view help, std::string_view label, std::size_t n,
              N names, F value) {
    MetricFamily& family = begin(Type::counter, name, help);
    for (const auto& [labels, sample] : samples_) {
      for (std::size_t i = 0; i < n; ++i) {
        Series series{.labels = labels, .value = static_cast<double>(value(sample, i))};
        series.labels.emplace_back(label, names(i));
        family.series.push_back(std::move(series));
      }
    }
  }

  /// One histogram per sample that measures, with bounds 2^first to 2^last in `unit`s.
  void add_histogram(std::string_view name, std::string_view help, Histogram Histograms::*which,
                     unsigned first, unsigned last, double unit) {
    MetricFamily family{
        .name = std::string(name), .help = std::string(help), .type = Type::histogram};
    for (const auto& [labels, sample] : samples_) {
      if (!sample.measured) continue;
      const Histogram& histogram = sample.histograms.*which;
      Series series{.labels = labels, .count = histogram.count(), .sum = histogram.sum() * unit};
      for (unsigned bits = first; bits <= last; ++bits) {
        const std::uint64_t bound = std::uint64_t{1} << bits;
        series.buckets.push_back({.upper_bound = static_cast<double>(bound) * unit,
                                  .so_far = histogram.count_up_to(bound)});
      }
      family.series.push_back(std::move(series));
    }
    if (!family.series.empty()) families_.push_back(std::move(family));
  }

  [[nodiscard]] std::vector<MetricFamily> take() { return std::move(families_); }

 private:
  MetricFamily& begin(Type type, std::string_view name, std::string_view help) {
    families_.push_back({.name = std::string(name), .help = std::string(help), .type = type});
    return families_.back();
  }

  const std::vector<LabelledSample>& samples_;
  std::vector<MetricFamily> families_;
};

void add_items(Families& families) {
  const auto total = [&](std::string_view name, std::string_view help, auto value) {
    families.add(Type::counter, name, help, [&](const Sample& s) { return s.stats.*value; });
  };
  total("microbatch_items_offered_total", "Items that producers offered: accepted and refused.",
        &Stats::offered);
  total("microbatch_items_accepted_total", "Items that the stream took.", &Stats::accepted);
  constexpr std::pair<std::string_view, std::uint64_t Stats::*> refusals[] = {
      {"full", &Stats::refused_full},
      {"closed", &Stats::refused_closed},
      {"timeout", &Stats::refused_timeout},
      {"too_large", &Stats::refused_too_large},
      {"would_deadlock", &Stats::refused_would_deadlock}};
  families.add_by(
      "microbatch_items_refused_total", "Items that were left with their producer, by cause.",
      "cause", std::size(refusals), [&](std::size_t i) { return refusals[i].first; },
      [&](const Sample& s, std::size_t i) { return s.stats.*refusals[i].second; });
  total("microbatch_items_delivered_total", "Items whose callback (and sink) succeeded.",
        &Stats::delivered);
  total("microbatch_items_dead_lettered_total", "Items that were put aside with their error.",
        &Stats::dead_lettered);
  families.add_by(
      "microbatch_items_dropped_total", "Items that were accepted and dropped, by cause.", "cause",
      drop_cause_count, [](std::size_t i) { return to_string(static_cast<DropCause>(i)); },
      [](const Sample& s, std::size_t i) { return s.stats.dropped_by[i]; });
  total("microbatch_items_handed_back_total", "Items that were given back when the consumer ended.",
        &Stats::handed_back);
  total("microbatch_items_abandoned_total", "Items left in a callback that did not return in time.",
        &Stats::abandoned);
  total("microbatch_dead_letters_lost_total", "Dead letters that nobody took, beyond those kept.",
        &Stats::dead_letters_lost);
}

void add_depths(Families& families) {
  const auto gauge = [&](std::string_view name, std::string_view help, auto value) {
    families.add(Type::gauge, name, help, value);
  };
  gauge("microbatch_pending_items", "Items accepted and not yet in a window.",
        [](const Sample& s) { return s.stats.pending; });
  gauge("microbatch_in_flight_items", "Items in a window that has not settled.",
        [](const Sample& s) { return s.stats.in_flight; });
  gauge("microbatch_capacity_items", "How many items may be accepted and not settled.",
        [](const Sample& s) { return s.capacity; });
  gauge("microbatch_unsettled_bytes", "Weight of the items accepted and not settled.",
        [](const Sample& s) { return s.stats.bytes; });
  gauge("microbatch_oldest_pending_seconds",
        "Age of the oldest pending item; 0 without arrival stamps.",
        [](const Sample& s) { return seconds(s.stats.oldest_pending); });
  gauge("microbatch_oldest_window_seconds", "Age of the oldest window in flight; 0 without one.",
        [](const Sample& s) { return seconds(s.stats.oldest_window); });
  gauge("microbatch_in_flight_windows", "Windows emitted and not ended.",
        [](const Sample& s) { return s.stats.windows_in_flight; });
}

void add_windows(Families& families) {
  families.add_by(
      "microbatch_windows_total", "Windows emitted, by reason.", "reason", reason_count - 1,
      [](std::size_t i) { return to_string(static_cast<Reason>(i + 1)); },
      [](const Sample& s, std::size_t i) { return s.stats.windows_by[i + 1]; });
  families.add(Type::counter, "microbatch_retries_total",
               "Attempts after a window's (or a part's) first.",
               [](const Sample& s) { return s.stats.retries; });

  constexpr double nanosecond = 1e-9;
  families.add_histogram("microbatch_window_items", "Items in a window.", &Histograms::window_size,
                         0, 20, 1);
  families.add_histogram("microbatch_wait_seconds",
                         "Time from an item's append until its window was emitted.",
                         &Histograms::wait, 10, 36, nanosecond);
  families.add_histogram("microbatch_callback_seconds", "Time in the callback, by attempt.",
                         &Histograms::callback, 10, 36, nanosecond);
  families.add_histogram("microbatch_settle_seconds",
                         "Time from a window's emission until its last item had ended.",
                         &Histograms::settle, 10, 36, nanosecond);
}

}  // namespace

std::vector<MetricFamily> metric_families(const std::vector<LabelledSample>& samples) {
  Families families(samples);
  add_items(families);
  add_depths(families);
  add_windows(families);
  return families.take();
}

}  // namespace microbatch::inline v0_1
