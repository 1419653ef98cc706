#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "../pipeline.hpp"
#include "connection.hpp"
#include "message.hpp"

namespace microbatch::inline v0_1::mqtt {

struct Subscription {
  std::string filter;    ///< such as sensors/+/temperature, or $share/group/sensors/#
  std::uint8_t qos = 1;  ///< 0 or 1
};

/// When a message of QoS 1 is acknowledged, so that the broker forgets it.
enum class Acknowledge : std::uint8_t {
  on_accept,  ///< it is in the stream, in memory: a crash loses what is there
  on_commit,  ///< its window and its sink have succeeded. The next message comes only then, so
              ///< windows hold one message
};

struct SourceOptions {
  Connection connection{};
  std::vector<Subscription> subscriptions{};
  Acknowledge acknowledge = Acknowledge::on_accept;
  /// How long a message may take to be safe. Then the connection is cut without an acknowledgement,
  /// and the broker sends it again.
  Duration acknowledge_timeout = std::chrono::seconds(5);
  /// MQTT 5: how long the broker keeps the session, and with it messages, while nobody is
  /// connected.
  std::chrono::seconds session_expiry = std::chrono::hours(24 * 7);

  void check() const;
};

struct SourceStats {
  std::uint64_t messages = 0;     ///< safe, and acknowledged where the broker waits for it
  std::uint64_t cuts = 0;         ///< not safe in time; the broker sends them again
  std::uint64_t connections = 0;  ///< made
};

/// Subscribes to topics, in a session that the broker keeps: what is published while the source is
/// away comes when it is back.
///
/// Paho acknowledges a message when its callback returns, so the callback waits until the message
/// is safe, or else cuts the connection before it returns: no acknowledgement goes out. What "safe"
/// means is Acknowledge, or, with receive(), what you say. Messages can come twice.
///
/// Threads: run() or receive() on one. The callbacks of all Paho clients of a process run on one
/// thread, so a sink in the same process stands still while a message waits to be safe; where both
/// wait, the source gives in after 100 ms and cuts. Errors: ConfigError at construction. run()
/// throws Unavailable when no broker answers within connect_timeout, and Error when the broker
/// refuses the user or a subscription; later losses are made good.
///
///     mqtt::Source source({.connection = {.server = "tcp://broker:1883", .client_id = "meter-1"},
///                          .subscriptions = {{"sensors/#"}}});
///     run(source, any_of(CountWindow{500}, MaxAgeWindow{100ms}), insert);
class Source {
 public:
  using value_type = Message;

  /// What became of a message.
  enum class Taken : std::uint8_t { safe, not_safe, closed };
  /// Makes a message safe within the time, for instance by a synced append to a durable stream. It
  /// runs on Paho's thread. `closed` ends receive(); an exception counts as not_safe, and is told
  /// to on_event.
  using Take = std::function<Taken(Message&& message, Duration timeout)>;

  explicit Source(SourceOptions options);
  Source(Source&&) noexcept;
  ~Source();

  void run(Feed<Message>& feed, const std::stop_token& stop) {
    receive([&](Message&& m, Duration timeout) { return append(feed, std::move(m), timeout); },
            stop);
  }
  void commit(const Origin& last) { committed_->store(last.offset, std::memory_order_release); }

  /// Without a pipeline: hands each message to `take` until told to stop.
  void receive(const Take& take, const std::stop_token& stop);

  [[nodiscard]] SourceStats stats() const;

 private:
  class Impl;

  /// In slices, so that the wait ends early where somebody needs Paho's thread.
  Taken append(Feed<Message>& feed, Message&& message, Duration timeout) {
    const TimePoint begin = steady_clock().now();
    const TimePoint until = detail::later(begin, timeout);
    const Origin origin{.partition = 0, .offset = next_offset_++};
    const auto slice = [&] {
      constexpr Duration most = std::chrono::milliseconds(50);
      return std::clamp(until - steady_clock().now(), Duration::zero(), most);
    };
    const auto give_up = [&] { return steady_clock().now() >= until || must_give_in(begin); };

    AppendResult result = AppendResult::timeout;
    while ((result = feed.append_for(std::move(message), origin, slice())) == AppendResult::timeout)
      if (give_up()) return Taken::not_safe;
    if (result == AppendResult::closed) return Taken::closed;
    if (result == AppendResult::full) return Taken::not_safe;
    // What the stream itself does not keep (dropped, too large) has ended, and is counted there.
    if (!waits_for_commit_ || result != AppendResult::accepted) return Taken::safe;
    while (!feed.flush(slice()))
      if (give_up()) return Taken::not_safe;
    return committed_->load(std::memory_order_acquire) >= origin.offset ? Taken::safe
                                                                        : Taken::not_safe;
  }
  [[nodiscard]] bool must_give_in(TimePoint since) const;

  std::unique_ptr<Impl> impl_;
  // Written by whoever tells of commits, read by the receiving thread: the last offset committed.
  std::unique_ptr<std::atomic<std::int64_t>> committed_;
  std::int64_t next_offset_ = 0;  // the receiving thread's
  bool waits_for_commit_;
};

}  // namespace microbatch::inline v0_1::mqtt
