#pragma once

#include <cstddef>
#include <cstdint>
#include <microbatch/core/clock.hpp>
#include <microbatch/mqtt/connection.hpp>
#include <microbatch/mqtt/message.hpp>
#include <optional>
#include <random>
#include <string>
#include <string_view>

namespace microbatch::inline v0_1::mqtt {

struct Address {
  bool tls = false;
  std::uint16_t port = 0;
};

/// ConfigError where it is none.
[[nodiscard]] Address address_of(const std::string& server);

/// What is wrong with a topic to publish to, or a filter to subscribe to; nothing where it is
/// right. MQTT 5, sections 1.5.4 and 4.7.
[[nodiscard]] std::optional<std::string> fault_of_topic(std::string_view topic);
[[nodiscard]] std::optional<std::string> fault_of_filter(std::string_view filter);

/// Of the packet that publishes it, in bytes: MQTT 5, sections 2.1.4 and 3.3.
[[nodiscard]] std::size_t packet_size(const Message& message, Version version) noexcept;
constexpr std::size_t max_packet_size = 268'435'460;  // MQTT 5, section 2.1.4

/// Once per process, before the first client.
void initialise_paho();

/// The delays between attempts to connect.
class Backoff {
 public:
  Backoff(Duration first, Duration max) : first_(first), max_(max) {}
  [[nodiscard]] Duration next();
  void reset() noexcept { delay_ = Duration::zero(); }

 private:
  Duration first_;
  Duration max_;
  Duration delay_{};
  std::minstd_rand random_{std::random_device{}()};
};

}  // namespace microbatch::inline v0_1::mqtt
