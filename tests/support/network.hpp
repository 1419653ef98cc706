#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <list>
#include <mutex>
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

/// A proxy on loopback that can be told to misbehave.
class Relay {
 public:
  explicit Relay(std::uint16_t to)
      : to_(to), port_(listener_.listen()), thread_([this](const std::stop_token& stop) {
          while (!stop.stop_requested()) {
            if (!listener_.readable(5)) continue;
            Socket client = listener_.accept();
            if (client.valid() && !down_) begin(std::move(client));
          }
        }) {}
  ~Relay() {
    thread_.request_stop();
    thread_.join();
    cut();
    const std::lock_guard lock(mutex_);
    links_.clear();
  }
  [[nodiscard]] std::uint16_t port() const { return port_; }

  /// Ends all connections.
  void cut() {
    const std::lock_guard lock(mutex_);
    for (auto& link : links_) {
      link.client.shut();
      link.server.shut();
    }
  }
  /// While down, connections are accepted and closed at once.
  void set_down(bool down) {
    down_ = down;
    if (down) cut();
  }
  /// While stalled, bytes stay in the relay.
  void set_stalled(bool stalled) { stalled_ = stalled; }
  /// Cuts after so many more bytes to the server, in the middle of whatever they are.
  void cut_after(std::int64_t bytes) { budget_ = bytes; }
  [[nodiscard]] int connections() const { return connections_; }

 private:
  struct Link {
    Socket client, server;
    std::jthread up, down;
  };

  void begin(Socket client) {
    Socket server;
    if (!server.connect(to_)) return;
    ++connections_;
    const std::lock_guard lock(mutex_);
    auto& link = links_.emplace_back();
    link.client = std::move(client);
    link.server = std::move(server);
    link.up = std::jthread(
        [this, &link](const std::stop_token& stop) { pump(link.client, link.server, stop, true); });
    link.down = std::jthread([this, &link](const std::stop_token& stop) {
      pump(link.server, link.client, stop, false);
    });
  }
  void pump(Socket& from, Socket& to, const std::stop_token& stop, bool up) {
    while (!stop.stop_requested()) {
      if (stalled_) {
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
        continue;
      }
      if (!from.readable(5)) continue;
      std::string bytes = from.read_some();
      if (bytes.empty()) break;
      if (up && budget_ >= 0) {
        const auto size = static_cast<std::int64_t>(bytes.size());
        if (size > budget_) {
          to.write(std::string_view(bytes).substr(0, static_cast<std::size_t>(budget_.load())));
          budget_ = -1;
          break;
        }
        budget_ -= size;
      }
      if (!to.write(bytes)) break;
    }
    from.shut();
    to.shut();
  }

  Socket listener_;
  std::uint16_t to_;
  std::uint16_t port_;
  std::atomic<bool> down_{false};
  std::atomic<bool> stalled_{false};
  std::atomic<std::int64_t> budget_{-1};
  std::atomic<int> connections_{0};
  std::mutex mutex_;
  std::list<Link> links_;
  std::jthread thread_;
};

}  // namespace test
