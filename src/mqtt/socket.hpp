#pragma once

#include <cstdint>
#include <vector>

namespace microbatch::mqtt {

/// A connected TCP socket of this process. Paho does not tell which one is its own, so we look for
/// the one that was not there before it connected.
struct Socket {
  int fd = -1;
  std::uint64_t inode = 0;  // tells it from a later one with the same descriptor

  friend bool operator==(const Socket&, const Socket&) = default;
};

/// Those whose other end has this port.
[[nodiscard]] std::vector<Socket> sockets_to(std::uint16_t port);

/// Nothing that is written to it afterwards gets out. The descriptor stays its owner's.
void cut(const Socket& socket) noexcept;

}  // namespace microbatch::mqtt
