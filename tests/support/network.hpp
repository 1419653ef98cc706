#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <functional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

namespace test {

/// A TCP socket on loopback.
class Socket {
 public:
  Socket() : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {}
  explicit Socket(int fd) : fd_(fd) {
    const int yes = 1;
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  }
  Socket(Socket&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Socket& operator=(Socket&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Socket() {
    if (fd_ >= 0) ::close(fd_);
  }

  static ::sockaddr_in loopback(std::uint16_t port) {
    ::sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
  }
  /// Returns the port.
  std::uint16_t listen() {
    auto address = loopback(0);
    ::socklen_t size = sizeof address;
    if (::bind(fd_, reinterpret_cast<::sockaddr*>(&address), size) != 0 || ::listen(fd_, 16) != 0 ||
        ::getsockname(fd_, reinterpret_cast<::sockaddr*>(&address), &size) != 0)
      throw std::runtime_error("cannot listen on loopback");
    return ntohs(address.sin_port);
  }
  bool connect(std::uint16_t port) const {
    const auto address = loopback(port);
    return ::connect(fd_, reinterpret_cast<const ::sockaddr*>(&address), sizeof address) == 0;
  }
  /// Waits that long for something to read (or to accept, or for the end).
  [[nodiscard]] bool readable(int ms) const {
    ::pollfd p{.fd = fd_, .events = POLLIN, .revents = 0};
    return ::poll(&p, 1, ms) > 0;
  }
  [[nodiscard]] Socket accept() const {
    return Socket(::accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC));
  }
  /// Empty at the end.
  [[nodiscard]] std::string read_some() const {
    std::array<char, 16'384> bytes{};
    const ::ssize_t n = ::recv(fd_, bytes.data(), bytes.size(), 0);
    return n > 0 ? std::string(bytes.data(), static_cast<std::size_t>(n)) : std::string();
  }
  bool write(std::string_view bytes) const {
    while (!bytes.empty()) {
      const ::ssize_t n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (n <= 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(n));
    }
    return true;
  }
  void shut() const { ::shutdown(fd_, SHUT_RDWR); }
  [[nodiscard]] bool valid() const { return fd_ >= 0; }

 private:
  int fd_;
};

/// A server that says what the test tells it to: `serve` is called with each connection, one after
/// the other, and its number from 0.
class Peer {
 public:
  using Serve = std::function<void(Socket& client, int number)>;

  explicit Peer(Serve serve)
      : port_(listener_.listen()), thread_([this, serve = std::move(serve)](std::stop_token stop) {
          for (int number = 0; !stop.stop_requested();) {
            if (!listener_.readable(10)) continue;
            Socket client = listener_.accept();
            if (!client.valid()) continue;
            serve(client, number++);
          }
        }) {}
  [[nodiscard]] std::uint16_t port() const { return port_; }

 private:
  Socket listener_;
  std::uint16_t port_;
  std::jthread thread_;
};

}  // namespace test
