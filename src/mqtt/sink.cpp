#include <fmt/format.h>

#include <algorithm>
#include <condition_variable>
#include <microbatch/mqtt/sink.hpp>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "client.hpp"
#include "options.hpp"
#include "waiting_sinks.hpp"

namespace microbatch::inline v0_1::mqtt {

class Sink::Impl {
 public:
  explicit Impl(SinkOptions options)
      : options_(std::move(options)),
        backoff_(options_.connection.reconnect_first, options_.connection.reconnect_max) {
    options_.check();
    const std::lock_guard one(putting_);
    connect_by(detail::later(steady_clock().now(), options_.connection.connect_timeout));
  }

  PutErrors put(std::span<const Message> messages);
  void close() {
    const std::lock_guard one(putting_);
    client_.reset();
  }

 private:
  struct Result {
    bool done = false;
    bool transient = false;
    std::string error{};
  };

  void connect_by(TimePoint until);
  [[nodiscard]] std::optional<std::string> fault_of(const Message& message) const;
  void send(const Message& message, std::size_t index, TimePoint until);
  void published(std::uint64_t generation, std::size_t index, std::string error, bool transient);

  const SinkOptions options_;
  std::mutex putting_;  // held by the one put that goes on

  // Guarded by putting_.
  std::unique_ptr<Client> client_;
  Backoff backoff_;
  std::uint64_t generation_ = 0;

  std::mutex mutex_;  // the rest: shared with Paho's thread
  std::condition_variable changed_;
  std::vector<Result> results_;  // of the current put
  std::size_t on_the_way_ = 0;
  std::uint64_t current_ = 0;  // the put whose answers count
  std::string lost_;
};

/// Tries until then; what the last attempt threw comes out.
void Sink::Impl::connect_by(TimePoint until) {
  // Without mutex_: Paho calls us back under its own.
  if (client_ && client_->connected()) {
    const std::lock_guard lock(mutex_);
    if (lost_.empty()) return;
  }
  for (;;) {
    client_.reset();
    {
      const std::lock_guard lock(mutex_);
      lost_.clear();
    }
    try {
      const auto left = std::max<Duration>(until - steady_clock().now(), std::chrono::seconds(1));
      client_ = std::make_unique<Client>(
          options_.connection,
          Session{.client_id = options_.connection.client_id,
                  .kept = false,
                  .expiry = {},
                  .timeout = std::min(left, options_.connection.connect_timeout)},
          ClientEvents{
              .arrived = {},
              .lost =
                  [this](std::string why) {
                    const std::lock_guard lock(mutex_);
                    lost_ = why.empty() ? "the connection was lost" : std::move(why);
                    changed_.notify_all();
                  },
              .published =
                  [this](std::uint64_t put, std::size_t index, std::string error, bool transient) {
                    published(put, index, std::move(error), transient);
                  }});
      backoff_.reset();
      if (options_.connection.on_event)
        options_.connection.on_event(fmt::format("connected to {}", options_.connection.server));
      return;
    } catch (const Unavailable&) {
      const Duration delay = backoff_.next();
      if (steady_clock().now() + delay >= until) throw;
      std::unique_lock lock(mutex_);
      changed_.wait_for(lock, delay, [] { return false; });
    }
  }
}

PutErrors Sink::Impl::put(std::span<const Message> messages) {
  const std::lock_guard one(putting_);
  const WaitingSink waiting;
  const TimePoint until = detail::later(steady_clock().now(), options_.timeout);
  try {
    connect_by(until);
  } catch (const Error& error) {  // refused now, but not for good: it was good once
    throw Unavailable(error.what());
  }
  {
    const std::lock_guard lock(mutex_);
    results_.assign(messages.size(), {});
    on_the_way_ = 0;
    current_ = ++generation_;
  }
  for (std::size_t i = 0; i < messages.size(); ++i) send(messages[i], i, until);

  std::unique_lock lock(mutex_);
  changed_.wait_until(lock, until, [&] { return on_the_way_ == 0 || !lost_.empty(); });
  current_ = 0;
  PutErrors errors;
  for (std::size_t i = 0; i < results_.size(); ++i) {
    auto& [done, transient, error] = results_[i];
    if (done && error.empty()) continue;
    if (!done) {
      transient = true;
      error = lost_.empty() ? "the broker did not acknowledge the message in time" : lost_;
    }
    error = fmt::format("{}: {}", options_.connection.server, error);
    errors.push_back({i, transient ? std::make_exception_ptr(Unavailable(error))
                                   : std::make_exception_ptr(Error(error))});
  }
  if (on_the_way_ != 0 && lost_.empty())
    lost_ = "messages were not acknowledged in time";  // begin anew: Paho would go on sending them
  return errors;
}

/// What no broker takes, or this one does not.
std::optional<std::string> Sink::Impl::fault_of(const Message& message) const {
  if (auto fault = fault_of_topic(message.topic)) return fault;
  const Limits& limits = client_->limits();
  const std::size_t size = packet_size(message, options_.connection.version);
  const std::size_t most = std::min(limits.packet_size, options_.max_packet_size);
  if (message.qos > 2) return fmt::format("qos must be 0, 1 or 2, got {}", message.qos);
  if (message.qos > limits.qos)
    return fmt::format("qos is {}; the broker takes {}", message.qos, limits.qos);
  if (message.retain && !limits.retain) return "retain is set, and the broker does not retain";
  if (size > most) return fmt::format("its packet has {} bytes; at most {}", size, most);
  return std::nullopt;
}

void Sink::Impl::send(const Message& message, std::size_t index, TimePoint until) {
  const std::optional<std::string> fault = fault_of(message);
  {
    std::unique_lock lock(mutex_);
    if (fault) {
      results_[index] = {.done = true,
                         .transient = false,
                         .error = fmt::format("message to '{}': {}", message.topic, *fault)};
      return;
    }
    const bool room = changed_.wait_until(
        lock, until, [&] { return on_the_way_ < options_.max_unacknowledged || !lost_.empty(); });
    if (!room || !lost_.empty()) return;
    ++on_the_way_;
  }
  if (auto error = client_->publish(message, generation_, index))
    published(generation_, index, *error, true);  // the next put connects again
}

void Sink::Impl::published(std::uint64_t put, std::size_t index, std::string error,
                           bool transient) {
  const std::lock_guard lock(mutex_);
  if (put != current_ || results_[index].done) return;
  results_[index] = {.done = true, .transient = transient, .error = std::move(error)};
  --on_the_way_;
  // A put waits for room, or for the last one.
  if (on_the_way_ == 0 || on_the_way_ + 1 == options_.max_unacknowledged) changed_.notify_all();
}

Sink::Sink(SinkOptions options) : impl_(std::make_unique<Impl>(std::move(options))) {}
Sink::Sink(Sink&&) noexcept = default;
Sink& Sink::operator=(Sink&&) noexcept = default;
Sink::~Sink() = default;

PutErrors Sink::put(std::span<const Message> messages) { return impl_->put(messages); }
void Sink::close() { impl_->close(); }

}  // namespace microbatch::inline v0_1::mqtt
