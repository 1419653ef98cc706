#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <list>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace test {

/// A proxy on loopback between a client and a server, which can behave badly: drop connections,
/// refuse new ones, delay what passes, or cut a connection in the middle of what the server says.
///
/// Threads: all functions any.
class TcpProxy {
 public:
  /// Listens on this port (0: any), and connects to the port in `server`, both on loopback.
  TcpProxy(std::uint16_t port, const std::string& server) : server_(parse(server)) {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int yes = 1;
    ::setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    sockaddr_in at = loopback(port);
    if (::bind(listener_, reinterpret_cast<sockaddr*>(&at), sizeof at) != 0 ||
        ::listen(listener_, 64) != 0) {
      ::close(listener_);
      throw std::runtime_error("TcpProxy: cannot listen on port " + std::to_string(port));
    }
    socklen_t size = sizeof at;
    ::getsockname(listener_, reinterpret_cast<sockaddr*>(&at), &size);
    port_ = ntohs(at.sin_port);
    thread_ = std::thread([this] { run(); });
  }
  TcpProxy(const TcpProxy&) = delete;
  TcpProxy& operator=(const TcpProxy&) = delete;
  ~TcpProxy() {
    end_ = true;
    thread_.join();
    for (auto& link : links_) close(link);
    ::close(listener_);
  }

  [[nodiscard]] std::uint16_t port() const noexcept { return port_; }
  static std::uint16_t port_of(const std::string& address) {
    return static_cast<std::uint16_t>(std::stoi(address.substr(address.rfind(':') + 1)));
  }

  /// As if the server were gone: what is connected is cut, new connections are closed at once.
  void go_away(bool away = true) { away_ = away; }
  /// Cuts what is connected now.
  void cut() { cut_ = true; }
  /// Each piece of data waits that long.
  void delay(std::chrono::milliseconds by) { delay_ms_ = by.count(); }
  /// Lets so many more bytes pass that way, then cuts that connection, once.
  enum class Way : std::uint8_t { to_client, to_server };
  void cut_after(std::int64_t bytes, Way way = Way::to_client) {
    allowed_[static_cast<std::size_t>(way)] = bytes;
  }
  [[nodiscard]] std::uint64_t connections() const noexcept { return connections_; }
  [[nodiscard]] std::uint64_t cuts() const noexcept { return cuts_; }

 private:
  using Clock = std::chrono::steady_clock;
  struct Piece {
    std::string data;
    Clock::time_point due;
  };
  struct Link {
    int fd[2];                   // client, server
    std::list<Piece> pieces[2];  // to the client, to the server
    bool dead = false;
  };

  static sockaddr_in loopback(std::uint16_t port) {
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    at.sin_port = htons(port);
    return at;
  }
  static sockaddr_in parse(const std::string& address) { return loopback(port_of(address)); }
  static void close(Link& link) {
    ::close(link.fd[0]);
    ::close(link.fd[1]);
  }

  void run() {
    while (!end_) {
      std::vector<pollfd> polled{{listener_, POLLIN, 0}};
      for (const Link& link : links_)
        for (const int fd : link.fd) polled.push_back({fd, POLLIN, 0});
      ::poll(polled.data(), polled.size(), waiting_time());
      if ((polled[0].revents & POLLIN) != 0) accept();
      std::size_t i = 1;
      for (Link& link : links_) {
        if (i + 1 >= polled.size()) break;  // it has just been accepted
        for (int side = 0; side < 2; ++side, ++i)
          if (polled[i].revents != 0) read(link, side);
      }
      const bool cut_all = cut_.exchange(false) || away_;
      for (Link& link : links_) {
        if (cut_all && !link.dead) {
          ++cuts_;
          link.dead = true;
        }
        write(link);
      }
      links_.remove_if([](Link& link) {
        if (link.dead) close(link);
        return link.dead;
      });
    }
  }

  /// In milliseconds: until something is due, and at most until we look at what we are told.
  [[nodiscard]] int waiting_time() const {
    Clock::duration wait = std::chrono::milliseconds(5);
    for (const Link& link : links_)
      for (const auto& pieces : link.pieces)
        if (!pieces.empty()) wait = std::min(wait, pieces.front().due - Clock::now());
    return static_cast<int>(
        std::max<std::int64_t>(0, std::chrono::ceil<std::chrono::milliseconds>(wait).count()));
  }

  void accept() {
    const int client = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (client < 0) return;
    const int server = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (away_ || ::connect(server, reinterpret_cast<sockaddr*>(&server_), sizeof server_) != 0) {
      ::close(client);
      ::close(server);
      return;
    }
    ++connections_;
    links_.push_back({.fd = {client, server}, .pieces = {}});
  }

  void read(Link& link, int from) {
    char data[65'536];
    const auto n = ::recv(link.fd[from], data, sizeof data, MSG_DONTWAIT);
    if (n == 0 || (n < 0 && errno != EAGAIN)) link.dead = true;
    if (n <= 0) return;
    link.pieces[1 - from].push_back({std::string(data, static_cast<std::size_t>(n)),
                                     Clock::now() + std::chrono::milliseconds(delay_ms_)});
  }

  void write(Link& link) {
    for (int to = 0; to < 2 && !link.dead; ++to) {
      auto& pieces = link.pieces[to];
      while (!pieces.empty() && pieces.front().due <= Clock::now() && !link.dead) {
        std::string& data = pieces.front().data;
        std::size_t n = data.size();
        auto& allowed = allowed_[static_cast<std::size_t>(to)];
        if (allowed >= 0) {
          const auto left = static_cast<std::size_t>(allowed.load());
          if (n > left) {
            n = left;
            allowed = -1;
            ++cuts_;
            link.dead = true;
          } else {
            allowed -= static_cast<std::int64_t>(n);
          }
        }
        const auto sent = ::send(link.fd[to], data.data(), n, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent < 0 && errno == EAGAIN) break;
        if (sent < 0) {
          link.dead = true;
        } else if (static_cast<std::size_t>(sent) < data.size()) {
          data.erase(0, static_cast<std::size_t>(sent));
        } else {
          pieces.pop_front();
        }
      }
    }
  }

  sockaddr_in server_;
  int listener_ = -1;
  std::uint16_t port_ = 0;
  std::list<Link> links_;
  std::atomic<bool> end_{false};
  std::atomic<bool> away_{false};
  std::atomic<bool> cut_{false};
  std::atomic<std::int64_t> delay_ms_{0};
  std::array<std::atomic<std::int64_t>, 2> allowed_{-1, -1};  // by way
  std::atomic<std::uint64_t> connections_{0};
  std::atomic<std::uint64_t> cuts_{0};
  std::thread thread_;
};

}  // namespace test
