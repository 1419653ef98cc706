#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include "network.hpp"

namespace test {

/// Publishes at QoS 1, over a connection of its own to a broker on loopback, and waits for the
/// acknowledgements. Without Paho, which is slow to connect a second client, and at the speed of
/// the broker. At most 65'535 messages, topic and payload together less than 120 bytes.
template <class Messages>
void mqtt_publish(std::uint16_t port, const Messages& messages) {
  using namespace std::string_literals;
  const auto require = [](bool holds) {
    if (!holds)
      throw std::runtime_error("mqtt_publish: the broker went away, or a message is long");
  };
  const Socket socket;
  require(socket.connect(port));
  const auto two_bytes = [](std::size_t n) {
    return std::string{static_cast<char>(n >> 8), static_cast<char>(n & 0xFF)};
  };
  std::string bytes = "\x10\x0c\0\x04MQTT\x04\x02\0\x3c\0\0"s;  // a new session, no name
  std::size_t id = 0;
  std::size_t missing = 4;  // bytes of the answers
  for (const auto& m : messages) {
    const auto body = two_bytes(m.topic.size()) + m.topic + two_bytes(++id) + m.payload;
    require(body.size() < 128 && id < 65'536);
    bytes += std::string{static_cast<char>(m.retain ? 0x33 : 0x32), static_cast<char>(body.size())};
    bytes += body;
    missing += 4;
  }
  require(socket.write(bytes));
  while (missing > 0) {
    require(socket.readable(10'000));
    const auto more = socket.read_some();
    require(!more.empty());
    missing -= more.size();
  }
}

}  // namespace test
