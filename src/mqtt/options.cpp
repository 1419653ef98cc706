#include "options.hpp"

#include <MQTTAsync.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <microbatch/mqtt/sink.hpp>
#include <microbatch/mqtt/source.hpp>
#include <mutex>
#include <system_error>

namespace microbatch::inline v0_1::mqtt {

namespace {

constexpr std::size_t max_text = 65'535;  // bytes of an MQTT string

/// UTF-8 without null: RFC 3629.
bool is_text(std::string_view s) {
  for (std::size_t i = 0; i < s.size();) {
    const auto at = [&](std::size_t k) { return static_cast<unsigned char>(s[k]); };
    const unsigned char lead = at(i);
    if (lead == 0) return false;
    const std::size_t length = lead < 0x80   ? 1
                               : lead < 0xC2 ? 0
                               : lead < 0xE0 ? 2
                               : lead < 0xF0 ? 3
                               : lead < 0xF5 ? 4
                                             : 0;
    if (length == 0 || i + length > s.size()) return false;
    for (std::size_t k = i + 1; k < i + length; ++k)
      if ((at(k) & 0xC0) != 0x80) return false;
    if (lead == 0xE0 && at(i + 1) < 0xA0) return false;
    if (lead == 0xED && at(i + 1) >= 0xA0) return false;
    if (lead == 0xF0 && at(i + 1) < 0x90) return false;
    if (lead == 0xF4 && at(i + 1) >= 0x90) return false;
    i += length;
  }
  return true;
}

std::optional<std::string> fault_of_text(std::string_view text) {
  if (text.empty()) return "it is empty";
  if (text.size() > max_text)
    return fmt::format("it has {} bytes; at most {}", text.size(), max_text);
  if (!is_text(text)) return "it is no UTF-8 without null bytes";
  return std::nullopt;
}

void check_file(const char* field, const std::string& file) {
  std::error_code error;
  if (!file.empty() && !std::filesystem::is_regular_file(file, error))
    throw ConfigError(fmt::format("Connection.tls.{} must be a file, got '{}'", field, file));
}

void check_time(const char* field, Duration d, Duration least, const char* least_text) {
  if (d < least)
    throw ConfigError(
        fmt::format("{} must be at least {}, got {} ns", field, least_text, d.count()));
}

}  // namespace

Address address_of(const std::string& server) {
  Address address;
  std::string_view rest = server;
  const auto fail = [&] {
    throw ConfigError(fmt::format(
        "Connection.server must be tcp://HOST:PORT or ssl://HOST:PORT, got '{}'", server));
  };
  if (rest.starts_with("ssl://"))
    address.tls = true;
  else if (!rest.starts_with("tcp://"))
    fail();
  rest.remove_prefix(6);
  const auto colon = rest.rfind(':');
  if (colon == std::string_view::npos || colon == 0) fail();
  const auto port = rest.substr(colon + 1);
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), address.port);
  if (error != std::errc() || end != port.data() + port.size() || address.port == 0) fail();
  return address;
}

std::optional<std::string> fault_of_topic(std::string_view topic) {
  if (auto fault = fault_of_text(topic)) return fault;
  if (topic.find_first_of("+#") != std::string_view::npos)
    return "it has a wildcard (+ or #), which is for subscriptions";
  return std::nullopt;
}

std::optional<std::string> fault_of_filter(std::string_view filter) {
  if (auto fault = fault_of_text(filter)) return fault;
  for (std::size_t i = 0; i < filter.size(); ++i) {
    if (filter[i] != '+' && filter[i] != '#') continue;
    const bool begins = i == 0 || filter[i - 1] == '/';
    const bool ends = i + 1 == filter.size() || (filter[i] == '+' && filter[i + 1] == '/');
    if (!begins || !ends) return "a + must be a level of its own, and a # the last one";
  }
  return std::nullopt;
}

std::size_t packet_size(const Message& message, Version version) noexcept {
  const std::size_t identifier = message.qos > 0 ? 2 : 0;
  const std::size_t properties = version == Version::v5 ? 1 : 0;  // there are none, which it says
  const std::size_t rest =
      2 + message.topic.size() + identifier + properties + message.payload.size();
  std::size_t length = 1;  // of the rest's length, seven bits a byte
  for (std::size_t left = rest >> 7; left > 0; left >>= 7) ++length;
  return 1 + length + rest;
}

void initialise_paho() {
  static std::once_flag once;
  std::call_once(once, [] {
    MQTTAsync_init_options options = MQTTAsync_init_options_initializer;
    options.do_openssl_init = 1;
    MQTTAsync_global_init(&options);
  });
}

Duration Backoff::next() {
  delay_ = delay_ == Duration::zero() ? first_ : delay_ > max_ / 2 ? max_ : delay_ * 2;
  const double random = std::uniform_real_distribution<double>(0.5, 1.0)(random_);
  return Duration(static_cast<Duration::rep>(static_cast<double>(delay_.count()) * random));
}

void Connection::check() const {
  using namespace std::chrono_literals;
  const Address address = address_of(server);
  if (!address.tls && (!tls.ca_file.empty() || !tls.certificate_file.empty()))
    throw ConfigError(fmt::format("Connection.tls is for an ssl:// server, got '{}'", server));
  if (!client_id.empty())
    if (auto fault = fault_of_text(client_id))
      throw ConfigError(fmt::format("Connection.client_id: {}", *fault));
  if (user.empty() && !password.empty())
    throw ConfigError("Connection.user must not be empty where there is a password");
  check_file("ca_file", tls.ca_file);
  check_file("certificate_file", tls.certificate_file);
  check_file("key_file", tls.key_file);
  check_time("Connection.keep_alive", keep_alive, 1s, "1 s");
  check_time("Connection.connect_timeout", connect_timeout, 1ms, "1 ms");
  check_time("Connection.reconnect_first", reconnect_first, 1ms, "1 ms");
  check_time("Connection.reconnect_max", reconnect_max, reconnect_first, "reconnect_first");
}

void SourceOptions::check() const {
  using namespace std::chrono_literals;
  connection.check();
  if (connection.client_id.empty())
    throw ConfigError(
        "Connection.client_id must not be empty: the broker keeps a source's session under it");
  if (subscriptions.empty()) throw ConfigError("SourceOptions.subscriptions must not be empty");
  for (const auto& subscription : subscriptions) {
    if (auto fault = fault_of_filter(subscription.filter))
      throw ConfigError(
          fmt::format("SourceOptions.subscriptions: '{}': {}", subscription.filter, *fault));
    if (subscription.qos > 1)
      throw ConfigError(fmt::format("SourceOptions.subscriptions: '{}': qos must be 0 or 1, got {}",
                                    subscription.filter, subscription.qos));
  }
  check_time("SourceOptions.acknowledge_timeout", acknowledge_timeout, 1ms, "1 ms");
  if (acknowledge_timeout > connection.keep_alive)
    throw ConfigError(
        "SourceOptions.acknowledge_timeout must not exceed Connection.keep_alive: the broker hears "
        "nothing while a message waits");
  if (session_expiry < 1s || session_expiry > std::chrono::seconds(0xFFFF'FFFE))
    throw ConfigError(
        fmt::format("SourceOptions.session_expiry must be from 1 to 4294967294 s, got {}",
                    session_expiry.count()));
}

void SinkOptions::check() const {
  connection.check();
  if (max_packet_size < 1 || max_packet_size > mqtt::max_packet_size)
    throw ConfigError(fmt::format("SinkOptions.max_packet_size must be from 1 to {}, got {}",
                                  mqtt::max_packet_size, max_packet_size));
  check_time("SinkOptions.timeout", timeout, std::chrono::milliseconds(1), "1 ms");
  constexpr std::size_t most = 60'000;  // of 65'535 packet identifiers
  if (max_unacknowledged < 1 || max_unacknowledged > most)
    throw ConfigError(fmt::format("SinkOptions.max_unacknowledged must be from 1 to {}, got {}",
                                  most, max_unacknowledged));
}

}  // namespace microbatch::inline v0_1::mqtt
