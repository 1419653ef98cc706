#include "socket.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <microbatch/mqtt/connection.hpp>
#include <optional>
#include <string_view>
#include <system_error>

namespace microbatch::inline v0_1::mqtt {

namespace {

std::uint16_t peer_port(int fd) {
  ::sockaddr_storage address{};
  ::socklen_t size = sizeof address;
  if (::getpeername(fd, reinterpret_cast<::sockaddr*>(&address), &size) != 0) return 0;
  if (address.ss_family == AF_INET)
    return ntohs(reinterpret_cast<const ::sockaddr_in*>(&address)->sin_port);
  if (address.ss_family == AF_INET6)
    return ntohs(reinterpret_cast<const ::sockaddr_in6*>(&address)->sin6_port);
  return 0;
}

std::optional<std::uint64_t> inode_of(int fd) {
  struct stat s {};
  if (::fstat(fd, &s) != 0) return std::nullopt;
  return static_cast<std::uint64_t>(s.st_ino);
}

}  // namespace

SocketFinder::SocketFinder(std::uint16_t port) : port_(port), descriptors_(::opendir("/dev/fd")) {
  if (!descriptors_)
    throw Error(fmt::format("/dev/fd cannot be read ({}), by which a source finds its connection",
                            std::generic_category().message(errno)));
  before_ = all();
}

std::vector<Socket> SocketFinder::added() const {
  auto found = all();
  std::erase_if(found, [&](const Socket& socket) {
    return std::ranges::find(before_, socket) != before_.end();
  });
  return found;
}

std::vector<Socket> SocketFinder::all() const {
  std::vector<Socket> found;
  ::rewinddir(descriptors_.get());
  while (const ::dirent* entry = ::readdir(descriptors_.get())) {
    const std::string_view name = entry->d_name;
    int fd = -1;
    if (std::from_chars(name.data(), name.data() + name.size(), fd).ec != std::errc()) continue;
    if (peer_port(fd) != port_) continue;
    if (const auto inode = inode_of(fd)) found.push_back({fd, *inode});
  }
  return found;
}

void cut(const Socket& socket) noexcept {
  if (inode_of(socket.fd) == socket.inode) ::shutdown(socket.fd, SHUT_RDWR);
}

}  // namespace microbatch::inline v0_1::mqtt
