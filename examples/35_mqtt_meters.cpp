// Meters publish their readings one by one; a source takes them in, batches become averages, and a
// sink publishes those. It needs a broker: MICROBATCH_TEST_MQTT=tcp://localhost:1883, say.

#include <fmt/format.h>

#include <chrono>
#include <cstdlib>
#include <map>
#include <microbatch/microbatch.hpp>
#include <microbatch/mqtt/sink.hpp>
#include <microbatch/mqtt/source.hpp>
#include <string>
#include <thread>
#include <vector>

namespace {

using namespace std::chrono_literals;
namespace mqtt = microbatch::mqtt;

/// One message per meter: the average of its readings in this window.
std::vector<mqtt::Message> averages(microbatch::Window<mqtt::Message>& window) {
  std::map<std::string, std::pair<double, int>> sums;
  for (const auto& message : window) {
    auto& [sum, n] = sums[message.topic];
    sum += std::stod(message.payload);  // what is no number is put aside as a dead letter
    ++n;
  }
  std::vector<mqtt::Message> results;
  for (const auto& [topic, sum] : sums)
    results.push_back(
        {.topic = topic + "/average", .payload = fmt::format("{:.1f}", sum.first / sum.second)});
  fmt::print("{}: {} averages\n", window, results.size());
  return results;
}

}  // namespace

int main() {
  const char* server = std::getenv("MICROBATCH_TEST_MQTT");
  if (server == nullptr) {
    fmt::print("skipped, because MICROBATCH_TEST_MQTT names no broker\n");
    return 0;
  }
  mqtt::Source source({.connection = {.server = server, .client_id = "example-averages"},
                       .subscriptions = {{"example/meter/+"}}});
  std::stop_source stop;
  std::jthread meters([&] {
    mqtt::Sink readings({.connection = {.server = server}});
    while (source.stats().connections == 0) std::this_thread::sleep_for(10ms);
    for (int i = 0; i < 100; ++i) {
      std::vector<mqtt::Message> one{
          {.topic = fmt::format("example/meter/{}", i % 4),
           .payload = i == 50 ? "broken" : fmt::format("{}", 20 + i % 4)}};
      if (!readings.put(one).empty()) fmt::print("a reading could not be sent\n");
    }
    while (source.stats().messages < 100) std::this_thread::sleep_for(10ms);
    stop.request_stop();
  });
  microbatch::RunOptions<mqtt::Message, mqtt::Message> options;
  options.stop = stop.get_token();
  options.consumer.on_failure.first_delay = 1ms;
  const auto result = microbatch::run(
      source, microbatch::any_of(microbatch::CountWindow{50}, microbatch::MaxAgeWindow{1s}),
      averages, mqtt::Sink({.connection = {.server = server}}), std::move(options));
  fmt::print("{} readings delivered, {} dead letters\n", result.closed.delivered,
             result.closed.dead_lettered);
  return result.closed.delivered == 99 && result.closed.dead_lettered == 1 ? 0 : 1;
}
