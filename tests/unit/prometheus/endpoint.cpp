// The HTTP endpoint, asked through a socket of our own. Real threads and real sockets, on loopback.

#include <arpa/inet.h>
#include <fmt/format.h>
#include <prometheus/collectable.h>
#include <prometheus/metric_family.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <microbatch/prometheus/endpoint.hpp>

#include <atomic>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "support/rig.hpp"

using namespace microbatch;
using namespace std::chrono_literals;

namespace {

/// A connection to the endpoint.
class Client {
 public:
  explicit Client(std::uint16_t port, const char* address = "127.0.0.1")
      : socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    inet_pton(AF_INET, address, &to.sin_addr);
    connected_ = ::connect(socket_, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0;
  }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;
  ~Client() { ::close(socket_); }

  [[nodiscard]] bool connected() const { return connected_; }
  void ask(const std::string& path) {
    const std::string request =
        fmt::format("GET {} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", path);
    (void)!::write(socket_, request.data(), request.size());
  }
  /// Bytes that have come and have not been read.
  [[nodiscard]] int waiting() const {
    int bytes = 0;
    ::ioctl(socket_, FIONREAD, &bytes);
    return bytes;
  }
  [[nodiscard]] std::string answer() {
    std::string text;
    char buffer[4096];
    for (ssize_t n = 0; (n = ::read(socket_, buffer, sizeof buffer)) > 0;)
      text.append(buffer, static_cast<std::size_t>(n));
    return text;
  }

 private:
  int socket_;
  bool connected_ = false;
};

std::string get(std::uint16_t port, const std::string& path = "/metrics") {
  Client client(port);
  client.ask(path);
  return client.answer();
}

}  // namespace

TEST_CASE("a scrape answers what the metrics hold", "[prometheus]") {
  test::Rig<int> rig({.name = "a \"quoted\"\nname"});
  rig.consume(CountWindow{2}, {.histograms = true});
  rig.append_numbers(0, 5);
  rig.run();
  Metrics metrics;
  metrics.watch(*rig.consumer);
  const PrometheusEndpoint endpoint(metrics, {.port = 0});
  const std::string text = get(endpoint.port());
  CHECK(text.starts_with("HTTP/1.1 200"));
  CHECK(text.find("# TYPE microbatch_items_delivered_total counter\n") != std::string::npos);
  const std::string label = R"({stream="a \"quoted\"\nname")";
  for (const char* line :
       {"microbatch_items_delivered_total{}}} 4", "microbatch_pending_items{}}} 1",
        "microbatch_window_items_bucket{},le=\"2\"}} 2",
        "microbatch_window_items_bucket{},le=\"+Inf\"}} 2", "microbatch_window_items_count{}}} 2",
        "microbatch_windows_total{},reason=\"count\"}} 2"}) {
    const std::string wanted = fmt::format(fmt::runtime(line), label) + "\n";
    CAPTURE(wanted, text);
    CHECK(text.find(wanted) != std::string::npos);
  }
  CHECK(get(endpoint.port(), "/").starts_with("HTTP/1.1 404"));
}

TEST_CASE("the endpoint listens on loopback alone unless it is told otherwise", "[prometheus]") {
  Metrics metrics;
  const PrometheusEndpoint endpoint(metrics, {.port = 0});
  CHECK(Client(endpoint.port(), "127.0.0.1").connected());
  CHECK_FALSE(Client(endpoint.port(), "127.0.0.2").connected());  // loopback, another address
}

TEST_CASE("a port that is taken is an error that names it", "[prometheus]") {
  Metrics metrics;
  const PrometheusEndpoint first(metrics, {.port = 0});
  std::string told;
  try {
    const PrometheusEndpoint second(metrics, {.port = first.port()});
  } catch (const ConfigError& e) {
    told = e.what();
  }
  CHECK(told.find(fmt::format("127.0.0.1:{}", first.port())) != std::string::npos);
  CHECK(told.find("a port that is free") != std::string::npos);
  CHECK(get(first.port()).starts_with("HTTP/1.1 200"));
}

TEST_CASE("settings of an endpoint that cannot work are errors", "[prometheus]") {
  Metrics metrics;
  const auto make = [&](PrometheusOptions options) {
    const PrometheusEndpoint e(metrics, options);
  };
  CHECK_THROWS_AS(make({.address = "localhost", .port = 0}), ConfigError);
  CHECK_THROWS_AS(make({.address = "", .port = 0}), ConfigError);
  CHECK_THROWS_AS(make({.address = "127.0.0.1,0.0.0.0", .port = 0}), ConfigError);
  CHECK_THROWS_AS(make({.address = "203.0.113.1", .port = 0}), ConfigError);  // not this machine's
  CHECK_THROWS_AS(make({.port = 0, .path = "metrics"}), ConfigError);
  CHECK_THROWS_AS(make({.port = 0, .path = "/a b"}), ConfigError);
  CHECK_THROWS_AS(make({.port = 0, .threads = 0}), ConfigError);
}

TEST_CASE("the pipeline runs on beside readers that are silent, and scrapes during close",
          "[prometheus]") {
  Metrics metrics;
  const PrometheusEndpoint endpoint(metrics, {.port = 0, .threads = 4});
  std::vector<std::unique_ptr<Client>> silent;  // they ask, and never read
  for (int i = 0; i < 2; ++i) {
    silent.push_back(std::make_unique<Client>(endpoint.port()));
    silent.back()->ask("/metrics");
  }
  std::atomic<bool> done{false};
  std::atomic<int> scrapes{0};
  std::jthread scraper([&] {
    while (!done) {
      if (get(endpoint.port()).starts_with("HTTP/1.1 200")) ++scrapes;
    }
  });
  std::uint64_t delivered = 0;
  for (int round = 0; round < 20; ++round) {
    Stream<int> stream({.name = "s"});
    auto consumer = streaming(stream, CountWindow{64}, [](Window<int>&) {}, {.histograms = true});
    REQUIRE(metrics.watch(consumer));
    for (int i = 0; i < 5000; ++i) stream.append(i);
    delivered += consumer.close().delivered;
  }
  while (scrapes < 2) std::this_thread::yield();
  done = true;
  CHECK(delivered == 20 * 5000);
}

TEST_CASE("a reader that never reads a large answer holds up one thread, and no stream",
          "[prometheus]") {
  Metrics metrics({.max_series = 2000});
  std::vector<Metrics::Gauge> gauges;  // 10 MB of text: more than a socket takes
  for (int i = 0; i < 1000; ++i)
    gauges.push_back(metrics.gauge("big", "", {{"i", std::to_string(i) + std::string(10'000, 'x')}},
                                   [] { return 1.0; }));
  const PrometheusEndpoint endpoint(metrics, {.port = 0, .threads = 2});
  Client slow(endpoint.port());
  slow.ask("/metrics");
  while (slow.waiting() == 0) std::this_thread::yield();  // its answer has begun

  Stream<int> stream({.name = "s"});
  auto consumer = streaming(stream, CountWindow{64}, [](Window<int>&) {}, {.histograms = true});
  REQUIRE(metrics.watch(consumer));
  for (int i = 0; i < 5000; ++i) REQUIRE(stream.append(i) == AppendResult::accepted);
  const auto began = std::chrono::steady_clock::now();
  const std::string text = get(endpoint.port());         // by the other thread
  CHECK(std::chrono::steady_clock::now() - began < 4s);  // the slow one is given up after 5 s
  CHECK(text.find("microbatch_items_accepted_total{stream=\"s\"} 5000") != std::string::npos);
  CHECK(consumer.close().delivered == 5000);
  CHECK(slow.waiting() < 9'000'000);
}

TEST_CASE("prometheus-cpp's own exposers take the metrics as a Collectable", "[prometheus]") {
  test::Rig<int> rig({.name = "s"});
  rig.consume(CountWindow{1}, {.histograms = true});
  rig.append(1);
  rig.run();
  Metrics metrics;
  metrics.watch(*rig.consumer);
  bool found = false;
  for (const auto& family : prometheus_collectable(metrics)->Collect()) {
    if (family.name != "microbatch_window_items") continue;
    found = true;
    REQUIRE(family.metric.size() == 1);
    CHECK(family.type == prometheus::MetricType::Histogram);
    CHECK(family.metric[0].histogram.sample_count == 1);
    CHECK(family.metric[0].histogram.bucket.front().cumulative_count == 1);
  }
  CHECK(found);
}
