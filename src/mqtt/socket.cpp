#include "socket.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <charconv>
#include <filesystem>
#include <optional>
#include <string>
#include <system_error>

namespace microbatch::mqtt {

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

std::vector<Socket> sockets_to(std::uint16_t port) {
  std::vector<Socket> found;
  std::error_code error;
  for (std::filesystem::directory_iterator entry("/dev/fd", error), end; !error && entry != end;
       entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    int fd = -1;
    if (std::from_chars(name.data(), name.data() + name.size(), fd).ec != std::errc()) continue;
    if (peer_port(fd) != port) continue;
    if (const auto inode = inode_of(fd)) found.push_back({fd, *inode});
  }
  return found;
}

void cut(const Socket& socket) noexcept {
  if (inode_of(socket.fd) == socket.inode) ::shutdown(socket.fd, SHUT_RDWR);
}

}  // namespace microbatch::mqtt
