// This library beside what people use or write instead, on the same work, in one run.
//
//   bench_compare [--quick] [--only SECTION] [--rounds N] [--json FILE] [--picture FILE.svg]
//
// SECTION: throughput, metrics, burst, latency, processor, idle, memory. The rounds are
// interleaved: each round runs every cell of every contender once, so that a machine that drifts
// hits all of them alike.

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <iterator>
#include <map>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include "at_rest.hpp"
#include "burst.hpp"
#include "paced.hpp"
#include "picture.hpp"
#include "report.hpp"
#include "results.hpp"
#include "throughput.hpp"

namespace contest {
namespace {

constexpr std::string_view sections[]{"throughput", "metrics", "burst", "latency",
                                      "processor",  "idle",    "memory"};

struct Options {
  bool quick = false;
  int rounds = 0;  // 0: as many as the run's length allows
  std::string only;
  std::string json;
  std::string picture;

  [[nodiscard]] bool wants(std::string_view section) const {
    return only.empty() || only == section;
  }
  [[nodiscard]] int rounds_or(int usual) const { return rounds > 0 ? rounds : usual; }
};

Options parse(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string_view name = argv[i];
    const auto value = [&]() -> std::string {
      if (i + 1 == argc) throw std::invalid_argument(fmt::format("{} needs a value", name));
      return argv[++i];
    };
    if (name == "--quick") {
      options.quick = true;
    } else if (name == "--json") {
      options.json = value();
    } else if (name == "--picture") {
      options.picture = value();
    } else if (name == "--rounds") {
      options.rounds = std::stoi(value());
      if (options.rounds < 1) throw std::invalid_argument("--rounds must be at least 1");
    } else if (name == "--only") {
      options.only = value();
      if (std::ranges::find(sections, options.only) == std::end(sections))
        throw std::invalid_argument(
            fmt::format("--only {}: expected one of {}", options.only, fmt::join(sections, ", ")));
    } else {
      throw std::invalid_argument(
          fmt::format("{}: expected --quick, --only, --rounds, --json or --picture", name));
    }
  }
  return options;
}

class Run {
 public:
  explicit Run(Options options) : options_(std::move(options)) {}

  Results& measure() {
    if (options_.wants("throughput")) throughputs();
    if (options_.wants("metrics")) metrics();
    if (options_.wants("burst")) burst();
    if (options_.wants("latency")) latency();
    if (options_.wants("processor")) processor();
    if (options_.wants("idle")) idles();
    if (options_.wants("memory")) memories();
    std::fprintf(stderr, "\r%60s\r", "");
    return results_;
  }

 private:
  void progress(const std::string& what) const {
    std::fprintf(stderr, "\r%-60s", what.c_str());
    std::fflush(stderr);
  }

  template <std::size_t Bytes, class C>
  void throughput_of(C, std::size_t producers, std::size_t window) {
    const Cell cell{"throughput", C::name(), producers, Bytes, window};
    const Setup setup{window, std::max(capacity, 4 * window)};
    auto& items = items_[fmt::format("{} {} {} {}", C::name(), producers, Bytes, window)];
    if (items == 0) items = items_for<C, Bytes>(setup, producers, options_.quick ? 0.1 : 0.2);
    results_.add(cell, throughput<C, Bytes>(setup, producers, items), "items/s");
  }

  template <std::size_t Bytes>
  void throughput_round(std::span<const std::size_t> counts = producer_counts) {
    for (const std::size_t producers : counts)
      for_each_contender([&](auto c) { throughput_of<Bytes>(c, producers, usual_window); });
  }

  void throughputs() {
    const int rounds = options_.rounds_or(options_.quick ? 3 : 5);
    for (int round = 0; round < rounds; ++round) {
      progress(fmt::format("throughput, round {} of {}", round + 1, rounds));
      if (options_.quick) {
        throughput_round<8>(std::span(producer_counts).first<3>());
        continue;
      }
      throughput_round<8>();
      for (const std::size_t window : wide_windows)
        throughput_of<8>(Contender<ThroughProducer>{}, 2, window);
      throughput_round<64>();
      throughput_round<256>();
    }
  }

  /// Small differences: many short rounds, and who begins takes turns.
  void metrics() {
    const int rounds = options_.rounds_or(options_.quick ? 5 : 161);
    for (int round = 0; round < rounds; ++round) {
      progress(fmt::format("the histograms' cost, round {} of {}", round + 1, rounds));
      for (const std::size_t producers : std::span(producer_counts).first<3>()) {
        const auto plain = [&] { metrics_of(Contender<ThroughProducer>{}, producers); };
        const auto measured = [&] { metrics_of(Contender<Measured>{}, producers); };
        if (round % 2 == 0) plain();
        measured();
        if (round % 2 == 1) plain();
      }
    }
  }
  template <class C>
  void metrics_of(C, std::size_t producers) {
    const Setup setup;
    auto& items = items_[fmt::format("metrics {}", producers)];  // the same for both
    if (items == 0) items = items_for<C, 8>(setup, producers, 0.025);
    const double began = processor_ms();
    results_.add({"metrics", C::name(), producers}, throughput<C, 8>(setup, producers, items),
                 "items/s");
    results_.add({"metrics, processor", C::name(), producers},
                 static_cast<double>(items) * 1e3 / (processor_ms() - began), "items/s");
  }

  void burst() {
    const int rounds = options_.rounds_or(options_.quick ? 1 : 5);
    for (int round = 0; round < rounds; ++round) {
      progress(fmt::format("appends of a burst, round {} of {}", round + 1, rounds));
      for_each_contender([&](auto c) {
        using C = decltype(c);
        results_.add({"append of a burst", C::name()},
                     append_of_a_burst<C>([](auto& producer, auto items) {
                       for (const auto& item : items) producer.append(item);
                     }),
                     "ns");
      });
      using C = Contender<ThroughProducer>;
      results_.add({"append of a burst, ranges of 64", C::name()},
                   append_of_a_burst<C>([](auto& producer, auto items) {
                     for (; !items.empty(); items = items.subspan(64))
                       (void)producer.append_range(items.first(64));
                   }),
                   "ns");
    }
  }

  void latency() {
    const int rounds = options_.rounds_or(options_.quick ? 1 : 5);
    for (int round = 0; round < rounds; ++round)
      for (const auto& [rate, label] : rates) {
        for_each_contender([&](auto c) {
          using C = decltype(c);
          progress(fmt::format("latency at {}, round {} of {}: {}", label, round + 1, rounds,
                               C::name()));
          // 100 windows and more, so that a p99 means something.
          const Latencies l = latencies<C>(
              rate, options_.quick ? rate / 4 : std::max<std::uint64_t>(rate, 204'800));
          results_.add({fmt::format("hand-off p50 at {}", label), C::name()}, l.hand_off_us.p50,
                       "us");
          results_.add({fmt::format("hand-off p99 at {}", label), C::name()}, l.hand_off_us.p99,
                       "us");
          results_.add({fmt::format("append p50 at {}", label), C::name()}, l.append_ns.p50, "ns");
          results_.add({fmt::format("append p99 at {}", label), C::name()}, l.append_ns.p99, "ns");
          results_.add({fmt::format("append p99.9 at {}", label), C::name()}, l.append_ns.p999,
                       "ns");
        });
      }
  }

  void processor() {
    const int rounds = options_.rounds_or(options_.quick ? 1 : 5);
    const double seconds = options_.quick ? 0.3 : 1;
    for (int round = 0; round < rounds; ++round)
      for (const auto& [rate, label] : rates) {
        for_each_contender([&](auto c) {
          using C = decltype(c);
          progress(fmt::format("processor time at {}, round {} of {}: {}", label, round + 1, rounds,
                               C::name()));
          results_.add({fmt::format("processor time at {}", label), C::name()},
                       processor_time<C>(rate, seconds), "ms/s");
        });
      }
  }

  void idles() {
    const double seconds = options_.quick ? 0.5 : 10;
    for_each_contender([&](auto c) {
      using C = decltype(c);
      progress(fmt::format("idle: {}", C::name()));
      const Idle i = idle<C>(C::spins ? 0.5 : seconds);
      results_.add({"idle context switches", C::name()}, i.switches_per_second, "1/s");
      results_.add({"idle processor time", C::name()}, i.processor_ms_per_second, "ms/s");
    });
  }

  void memories() {
    for (const std::size_t producers : crowds) {
      progress(fmt::format("memory of {} producers", producers));
      for_each_contender([&](auto c) {
        using C = decltype(c);
        results_.add({"memory", C::name(), producers}, memory<C>(producers), "bytes");
      });
    }
  }

  static constexpr std::pair<std::uint64_t, const char*> rates[] = {{100'000, "100k/s"},
                                                                    {1'000'000, "1M/s"}};
  const Options options_;
  Results results_;
  std::map<std::string, std::uint64_t> items_;  // per cell, of every round
};

}  // namespace
}  // namespace contest

int main(int argc, char** argv) {
  try {
    const auto options = contest::parse(argc, argv);
    contest::Run run(options);
    const auto& results = run.measure();
    contest::print_table(results);
    contest::print_figures(results);
    if (!options.json.empty()) contest::write_json(results, options.json);
    if (!options.picture.empty()) contest::draw_throughput(results, options.picture);
    return 0;
  } catch (const std::exception& error) {
    fmt::print(stderr, "bench_compare: {}\n", error.what());
    return 1;
  }
}
