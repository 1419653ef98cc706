#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>

#include "../core/clock.hpp"
#include "../core/errors.hpp"
#include "../io/secret.hpp"

namespace microbatch::inline v0_1::mqtt {

/// The broker refuses something, and will go on refusing it: a user, a message. The text names the
/// setting where a setting is the cause.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// No broker is there, or it cannot serve us now. What was tried is tried again.
class Unavailable : public TransientError {
 public:
  using TransientError::TransientError;
};

enum class Version : std::uint8_t { v3_1_1, v5 };

/// For ssl:// servers. The broker's certificate and host name are checked.
struct Tls {
  std::string ca_file{};           ///< PEM; empty: the system's authorities
  std::string certificate_file{};  ///< PEM, of the client; empty: none
  std::string key_file{};          ///< PEM, of the client
  Secret key_password{};
  bool insecure_skip_verification = false;  ///< talk to anybody who answers
};

/// How to reach a broker. Sources and sinks each make one connection, and make it again when it is
/// lost, after reconnect_first, doubling up to reconnect_max, each delay shortened at random by up
/// to half.
struct Connection {
  std::string server = "tcp://localhost:1883";  ///< or ssl://host:port
  std::string client_id{};  ///< of one client at a time; a source needs it, for its session
  Version version = Version::v3_1_1;
  std::string user{};
  Secret password{};
  Tls tls{};
  Duration keep_alive = std::chrono::seconds(60);
  /// The first connection: no broker by then is an error.
  Duration connect_timeout = std::chrono::seconds(30);
  Duration reconnect_first = std::chrono::milliseconds(500);
  Duration reconnect_max = std::chrono::seconds(30);
  std::function<void(const std::string&)> on_event{};  ///< connections lost and made, in words

  void check() const;
};

}  // namespace microbatch::inline v0_1::mqtt
