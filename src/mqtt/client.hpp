#pragma once

#include <MQTTAsync.h>

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <microbatch/mqtt/connection.hpp>
#include <microbatch/mqtt/message.hpp>
#include <microbatch/mqtt/source.hpp>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "options.hpp"
#include "socket.hpp"

namespace microbatch::inline v0_1::mqtt {

/// What a client is connected for.
struct Session {
  std::string client_id;
  bool kept = false;               // by the broker, while we are away
  std::chrono::seconds expiry{0};  // MQTT 5
  std::stop_token stop{};          // ends the waits early
  Duration timeout{};              // to connect, and for each answer
};

/// What the broker takes, as one of MQTT 5 tells. With more it would cut the connection, each time
/// anew.
struct Limits {
  std::size_t packet_size = max_packet_size;
  int qos = 2;
  bool retain = true;
};

/// What a client tells, on Paho's thread.
struct ClientEvents {
  std::function<bool(Message&&)> arrived{};  // false: not safe, so the connection is cut
  std::function<void(std::string why)> lost{};
  std::function<void(std::uint64_t put, std::size_t index, std::string error, bool transient)>
      published{};  // an empty error: the broker has it
};

/// One connection to a broker, over Paho; a lost one is not made again: make a new client.
///
/// Threads: one; events come on Paho's. Errors: Unavailable, Error.
class Client {
 public:
  Client(const Connection& connection, Session session, ClientEvents events);
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;
  /// Disconnects; no event comes afterwards.
  ~Client();

  /// The broker had kept our session.
  [[nodiscard]] bool session_present() const noexcept { return session_present_; }
  [[nodiscard]] bool connected() const { return MQTTAsync_isConnected(handle_) != 0; }
  [[nodiscard]] const Limits& limits() const noexcept { return limits_; }
  void subscribe(const std::vector<Subscription>& subscriptions);
  /// Events::published tells how it ended, unless the connection is lost before. An error
  /// otherwise.
  [[nodiscard]] std::optional<std::string> publish(const Message& message, std::uint64_t put,
                                                   std::size_t index);

 private:
  /// What Paho answers to one request.
  struct Answer {
    bool there = false;
    int code = 0;
    std::string text{};
    std::vector<int> granted{};
  };
  /// A message on its way; lives until the client ends, so that a late answer finds it.
  struct Sent {
    Client* client;
    std::uint64_t put;
    std::size_t index;
  };

  void connect();
  void accepted(bool session_present, const Limits& limits) noexcept;
  static void ended(void* sent, std::string error, bool transient);
  [[nodiscard]] Answer wait_for_answer(Duration timeout, const std::stop_token& stop = {});
  /// Paho's own timeout comes first; ours is for the case that it says nothing.
  [[nodiscard]] Duration patience() const { return session_.timeout + std::chrono::seconds(2); }
  void set_gone();
  void answered(Answer answer);
  [[nodiscard]] std::string description(const Answer& answer) const;
  [[nodiscard]] bool is_v5() const noexcept { return connection_.version == Version::v5; }
  int arrived(char* topic, int topic_length, MQTTAsync_message* message) noexcept;

  const Connection connection_;
  const Session session_;
  const ClientEvents events_;
  MQTTAsync handle_ = nullptr;
  std::optional<SocketFinder> finder_;
  std::vector<Socket> sockets_;  // one: ours. Others are left alone, unless we cannot tell
  bool session_present_ = false;
  Limits limits_;
  std::string tls_errors_;

  std::mutex mutex_;
  std::condition_variable_any changed_;
  Answer answer_;
  bool gone_ = false;  // the connection was lost, or cut

  std::deque<Sent> sent_;
  std::vector<Sent*> free_sent_;  // guarded by mutex_
};

}  // namespace microbatch::inline v0_1::mqtt
