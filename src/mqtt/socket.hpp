#pragma once

#include <dirent.h>

#include <cstdint>
#include <memory>
#include <vector>

namespace microbatch::inline v0_1::mqtt {

/// A connected TCP socket of this process.
struct Socket {
  int fd = -1;
  std::uint64_t inode = 0;  // tells it from a later one with the same descriptor

  friend bool operator==(const Socket&, const Socket&) = default;
};

/// Finds the socket of a connection that is being made. Paho does not tell which one is its own, so
/// we look for the one that was not there before it connected.
///
/// Errors: Error at construction where the process cannot see its own descriptors.
class SocketFinder {
 public:
  /// Of a connection to this port, which is made afterwards.
  explicit SocketFinder(std::uint16_t port);
  /// One, unless others connect to that port at the same time, or it is closed already.
  [[nodiscard]] std::vector<Socket> added() const;

 private:
  [[nodiscard]] std::vector<Socket> all() const;

  struct Close {
    void operator()(DIR* folder) const noexcept { ::closedir(folder); }
  };
  std::uint16_t port_;
  std::unique_ptr<DIR, Close> descriptors_;  // held open: later there may be no descriptor for it
  std::vector<Socket> before_;
};

/// Nothing that is written to it afterwards gets out. The descriptor stays its owner's.
void cut(const Socket& socket) noexcept;

}  // namespace microbatch::inline v0_1::mqtt
