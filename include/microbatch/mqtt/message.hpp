#pragma once

#include <cstdint>
#include <string>

namespace microbatch::inline v0_1::mqtt {

/// A published message: what a Source brings in and a Sink takes out.
struct Message {
  std::string topic{};
  std::string payload{};   ///< any bytes, none included
  std::uint8_t qos = 1;    ///< 0, 1 or 2; at which it came, or is to be sent
  bool retain = false;     ///< came because it was retained; the broker is to retain it
  bool duplicate = false;  ///< may have come before; a sink ignores it

  friend bool operator==(const Message&, const Message&) = default;
};

}  // namespace microbatch::inline v0_1::mqtt
