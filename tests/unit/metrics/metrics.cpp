#include <microbatch/metrics/metrics.hpp>
#include <microbatch/metrics/prometheus_text.hpp>

#include <limits>
#include <stdexcept>
#include <string>

#include "support/rig.hpp"

using namespace microbatch;
using namespace std::chrono_literals;

namespace {

/// Whether the text has this whole line.
bool has_line(const std::string& text, const std::string& line) {
  return ("\n" + text).find("\n" + line + "\n") != std::string::npos;
}

template <class F>
std::string error_of(F f) {
  try {
    f();
  } catch (const std::exception& e) {
    return e.what();
  }
  return "nothing was thrown";
}

}  // namespace

TEST_CASE("a consumer's ledger is told in Prometheus' names and units", "[metrics]") {
  test::Rig<int> rig(
      {.name = "orders", .capacity = 8, .overflow = Overflow::reject, .arrival_stamps = true});
  rig.consume(CountWindow{4}, [](Window<int>& window) { window.reject(1, "no"); },
              {.histograms = true});
  rig.append_numbers(0, 4);
  rig.run();
  rig.append(9);
  rig.leap_to(1500ms);

  Metrics metrics;
  REQUIRE(metrics.watch(*rig.consumer, {{"team", "sales"}}));
  const std::string text = prometheus_text(metrics.collect());
  for (const char* line : {
           R"(# TYPE microbatch_items_accepted_total counter)",
           R"(microbatch_items_offered_total{stream="orders",team="sales"} 5)",
           R"(microbatch_items_accepted_total{stream="orders",team="sales"} 5)",
           R"(microbatch_items_refused_total{stream="orders",team="sales",cause="full"} 0)",
           R"(microbatch_items_delivered_total{stream="orders",team="sales"} 3)",
           R"(microbatch_items_dead_lettered_total{stream="orders",team="sales"} 1)",
           R"(microbatch_items_dropped_total{stream="orders",team="sales",cause="expired"} 0)",
           R"(microbatch_windows_total{stream="orders",team="sales",reason="count"} 1)",
           R"(microbatch_windows_total{stream="orders",team="sales",reason="capacity"} 0)",
           R"(# TYPE microbatch_pending_items gauge)",
           R"(microbatch_pending_items{stream="orders",team="sales"} 1)",
           R"(microbatch_capacity_items{stream="orders",team="sales"} 8)",
           R"(microbatch_oldest_pending_seconds{stream="orders",team="sales"} 1.5)",
           R"(# TYPE microbatch_window_items histogram)",
           R"(microbatch_window_items_bucket{stream="orders",team="sales",le="2"} 0)",
           R"(microbatch_window_items_bucket{stream="orders",team="sales",le="4"} 1)",
           R"(microbatch_window_items_bucket{stream="orders",team="sales",le="+Inf"} 1)",
           R"(microbatch_window_items_sum{stream="orders",team="sales"} 4)",
           R"(microbatch_window_items_count{stream="orders",team="sales"} 1)",
           R"(microbatch_wait_seconds_count{stream="orders",team="sales"} 4)",
           R"(microbatch_metrics_refused_total 0)",
       }) {
    CAPTURE(line);
    CHECK(has_line(text, line));
  }
}

TEST_CASE("histograms are shown only where they are measured", "[metrics]") {
  test::Rig<int> rig;
  rig.consume(CountWindow{1});
  Metrics metrics;
  REQUIRE(metrics.watch(*rig.consumer));
  CHECK(prometheus_text(metrics.collect()).find("histogram") == std::string::npos);
}

TEST_CASE("a label's value may be any text", "[metrics]") {
  test::Rig<int> rig({.name = "a \"b\" \\ c\nd"});
  rig.consume(CountWindow{1});
  Metrics metrics;
  REQUIRE(metrics.watch(*rig.consumer, {{"who", "caf\xC3\xA9 \xFF\xED\xA0\x80 \xF0\x9F\x98\x80"}}));
  CHECK(has_line(prometheus_text(metrics.collect()),
                 "microbatch_pending_items{stream=\"a \\\"b\\\" \\\\ c\\nd\",who=\"caf\xC3\xA9 "
                 "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD \xF0\x9F\x98\x80\"} 0"));
}

TEST_CASE("label and metric names that Prometheus would refuse are errors", "[metrics]") {
  test::Rig<int> rig;
  rig.consume(CountWindow{1});
  Metrics metrics;
  const auto watch = [&](const char* name) {
    return error_of([&] { metrics.watch(*rig.consumer, {{name, "x"}}); });
  };
  CHECK(watch("a-b").find("\"a-b\" is no label name") != std::string::npos);
  CHECK(watch("").find("is no label name") != std::string::npos);
  CHECK(watch("1a").find("is no label name") != std::string::npos);
  CHECK(watch("__name__").find("is no label name") != std::string::npos);
  CHECK(watch("le").find("the library's own") != std::string::npos);
  CHECK(watch("stream").find("the library's own") != std::string::npos);
  CHECK_THROWS_AS(metrics.watch(*rig.consumer, {{"a", "1"}, {"a", "2"}}), ConfigError);

  const auto one = [] { return 1.0; };
  CHECK_THROWS_AS(metrics.gauge("no name", "", {}, one), ConfigError);
  CHECK_THROWS_AS(metrics.gauge("name", "", {}, {}), ConfigError);
  CHECK_THROWS_AS(metrics.gauge("microbatch_retries_total", "", {}, one), ConfigError);
  CHECK_THROWS_AS(Metrics({.max_series = 0}), ConfigError);
}

TEST_CASE("two consumers of the same labels are an error, one after the other is none",
          "[metrics]") {
  Metrics metrics;
  {
    test::Rig<int> first({.name = "s"});
    first.consume(CountWindow{1});
    REQUIRE(metrics.watch(*first.consumer));
    test::Rig<int> second({.name = "s"});
    second.consume(CountWindow{1});
    CHECK(error_of([&] { metrics.watch(*second.consumer); }).find("stream=\"s\"") !=
          std::string::npos);
    CHECK(metrics.watch(*second.consumer, {{"part", "2"}}));
  }
  test::Rig<int> next({.name = "s"});
  next.consume(CountWindow{1});
  CHECK(metrics.watch(*next.consumer));
  next.consumer.reset();
  CHECK(prometheus_text(metrics.collect()).find("stream=") == std::string::npos);
}

TEST_CASE("of a million label values a limited number is shown, and the rest counted",
          "[metrics]") {
  Metrics metrics({.max_series = 10});
  test::Rig<int> rig;
  rig.consume(CountWindow{1});
  int shown = 0;
  for (int i = 0; i < 1'000'000; ++i)
    shown += metrics.watch(*rig.consumer, {{"user", std::to_string(i)}}) ? 1 : 0;
  CHECK(shown == 10);
  const std::string text = prometheus_text(metrics.collect());
  CHECK(text.size() < 100'000);
  CHECK(has_line(text, "microbatch_metrics_refused_total 999990"));
  CHECK(text.find("user=\"9\"") != std::string::npos);
  CHECK(text.find("user=\"10\"") == std::string::npos);
}

TEST_CASE("a gauge of one's own is read at each collect, until it goes", "[metrics]") {
  Metrics metrics;
  double level = 0.5;
  {
    auto gauge = metrics.gauge("tank_level", "How full.", {{"tank", "a"}}, [&] { return level; });
    auto infinite = metrics.gauge("tank_level", "How full.", {{"tank", "b"}},
                                  [] { return -std::numeric_limits<double>::infinity(); });
    auto broken =
        metrics.gauge("broken", "Throws.", {}, []() -> double { throw std::runtime_error("x"); });
    CHECK_THROWS_AS(metrics.gauge("broken", "Twice.", {}, [] { return 1.0; }), UsageError);
    std::string text = prometheus_text(metrics.collect());
    CHECK(has_line(text, "# HELP tank_level How full."));
    CHECK(has_line(text, "tank_level{tank=\"a\"} 0.5"));
    CHECK(has_line(text, "tank_level{tank=\"b\"} -Inf"));
    CHECK(has_line(text, "microbatch_metrics_errors_total 1"));
    CHECK(text.find("TYPE broken") == std::string::npos);
    level = 2;
    CHECK(has_line(prometheus_text(metrics.collect()), "tank_level{tank=\"a\"} 2"));
  }
  CHECK(prometheus_text(metrics.collect()).find("tank") == std::string::npos);
}
