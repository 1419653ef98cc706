// How many messages of QoS 1 a second does a source take in, beside a bare Paho callback that does
// nothing? The broker holds them ready; both acknowledge each message.

#include <MQTTAsync.h>
#include <fmt/format.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <semaphore>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <microbatch/microbatch.hpp>
#include <microbatch/mqtt/source.hpp>

#include "rounds.hpp"
#include "support/mqtt_publish.hpp"

namespace {

using namespace std::chrono_literals;
using microbatch::mqtt::Message;
using microbatch::mqtt::Source;
using Clock = std::chrono::steady_clock;

constexpr std::size_t messages = 60'000;
constexpr std::size_t window = 1000;  // the first one is not measured
const std::string client_id = "bench-connectors";
const std::string topic = "bench";

const std::string server = bench::server("MICROBATCH_TEST_MQTT");

void fill() {
  const std::vector<Message> all(messages, {.topic = topic, .payload = std::string(100, 'x')});
  test::mqtt_publish(static_cast<std::uint16_t>(std::stoi(server.substr(server.rfind(':') + 1))),
                     all);
}

double rate(Clock::time_point begin) {
  return static_cast<double>(messages - window) / bench::seconds_since(begin);
}

microbatch::mqtt::SourceOptions options() {
  return {.connection = {.server = server, .client_id = client_id}, .subscriptions = {{topic}}};
}

/// Makes the session, which the others take over.
void subscribe() {
  Source source(options());
  std::stop_source stop;
  std::jthread waiter([&] {
    while (source.stats().connections == 0) std::this_thread::sleep_for(1ms);
    stop.request_stop();
  });
  source.receive([](Message&&, microbatch::Duration) { return Source::Taken::safe; },
                 stop.get_token());
}

double through_the_source() {
  fill();
  Source source(options());
  std::stop_source stop;
  microbatch::RunOptions<Message, void> run_options;
  run_options.stop = stop.get_token();
  Clock::time_point begin;
  std::size_t seen = 0;
  double result = 0;
  microbatch::run(
      source, microbatch::CountWindow{window},
      [&](microbatch::Window<Message>& w) {
        if (seen == 0) begin = Clock::now();
        seen += w.size();
        if (seen >= messages && result == 0) {
          result = rate(begin);
          stop.request_stop();
        }
      },
      microbatch::NoSink{}, std::move(run_options));
  return result;
}

double bare_paho() {
  fill();
  struct State {
    std::size_t seen = 0;
    Clock::time_point begin;
    double result = 0;
    std::binary_semaphore ended{0};
  } state;
  MQTTAsync client = nullptr;
  MQTTAsync_create(&client, server.c_str(), client_id.c_str(), MQTTCLIENT_PERSISTENCE_NONE,
                   nullptr);
  MQTTAsync_setCallbacks(
      client, &state, nullptr,
      [](void* context, char* name, int, MQTTAsync_message* message) {
        auto& s = *static_cast<State*>(context);
        if (++s.seen == window) s.begin = Clock::now();
        if (s.seen == messages) {
          s.result = rate(s.begin);
          s.ended.release();
        }
        MQTTAsync_freeMessage(&message);
        MQTTAsync_free(name);
        return 1;
      },
      nullptr);
  MQTTAsync_connectOptions connect = MQTTAsync_connectOptions_initializer;
  connect.cleansession = 0;
  if (MQTTAsync_connect(client, &connect) != MQTTASYNC_SUCCESS)
    throw std::runtime_error("Paho does not connect");
  state.ended.acquire();  // a thread that looked now and then would keep the machine livelier
  MQTTAsync_disconnectOptions disconnect = MQTTAsync_disconnectOptions_initializer;
  disconnect.context = &state;
  disconnect.onSuccess = [](void* context, MQTTAsync_successData*) {
    static_cast<State*>(context)->ended.release();
  };
  MQTTAsync_disconnect(client, &disconnect);
  state.ended.acquire();
  MQTTAsync_destroy(&client);
  return state.result;
}

}  // namespace

int main() {
  subscribe();
  bench::compare(fmt::format("MQTT 3.1.1, QoS 1, {} messages of 100 bytes", messages), 9,
                 {{"bare Paho callback", messages, bare_paho},
                  {"mqtt::Source, CountWindow", messages, through_the_source}});
}
