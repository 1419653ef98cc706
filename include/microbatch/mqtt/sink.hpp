#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <span>

#include "../concepts/sink.hpp"
#include "connection.hpp"
#include "message.hpp"

namespace microbatch::inline v0_1::mqtt {

struct SinkOptions {
  Connection connection{};
  /// A put: reconnecting, sending, the broker's acknowledgements.
  Duration timeout = std::chrono::seconds(30);
  std::size_t max_unacknowledged = 1000;  ///< messages on their way at a time
  /// The largest packet (a message, its topic, a few bytes) that the broker takes. An MQTT 5 broker
  /// tells; one of MQTT 3.1.1 cuts the connection instead, and does so at each attempt.
  std::size_t max_packet_size = 268'435'460;

  void check() const;
};

/// Publishes messages over one connection, and waits for the broker to have each: for its
/// acknowledgement (QoS 1, 2), or until it is written (QoS 0).
///
/// put() tells which messages failed. What lies in the message (a wildcard in its topic, too large,
/// refused by an MQTT 5 broker) is an Error, and ends its item as a dead letter; everything else is
/// Unavailable, and put again. So a message can be published twice, but is not forgotten.
///
/// Threads: any; one put at a time goes on. Errors: ConfigError at construction, which also
/// connects: Unavailable when no broker answers within connect_timeout, Error when it refuses the
/// user.
///
///     mqtt::Sink sink({.connection = {.server = "tcp://broker:1883"}});
class Sink {
 public:
  explicit Sink(SinkOptions options);
  Sink(Sink&&) noexcept;
  Sink& operator=(Sink&&) noexcept;
  ~Sink();

  [[nodiscard]] PutErrors put(std::span<const Message> messages);
  void close();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace microbatch::inline v0_1::mqtt
