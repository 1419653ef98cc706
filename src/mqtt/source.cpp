#include <fmt/format.h>

#include <algorithm>
#include <condition_variable>
#include <microbatch/mqtt/source.hpp>
#include <mutex>
#include <utility>

#include "client.hpp"
#include "options.hpp"
#include "waiting_sinks.hpp"

namespace microbatch::inline v0_1::mqtt {

class Source::Impl {
 public:
  explicit Impl(SourceOptions options) : options_(std::move(options)) { options_.check(); }

  void receive(const Take& take, const std::stop_token& stop);
  [[nodiscard]] bool must_give_in(TimePoint since) const;
  [[nodiscard]] bool waits_for_commit() const noexcept {
    return options_.acknowledge == Acknowledge::on_commit;
  }
  [[nodiscard]] SourceStats stats() const {
    const std::lock_guard lock(mutex_);
    return stats_;
  }

 private:
  [[nodiscard]] std::unique_ptr<Client> connect(const Take& take);
  bool arrived(const Take& take, Message&& message);
  void lost(std::string why);
  [[nodiscard]] bool heard() const {
    const std::lock_guard lock(mutex_);
    return heard_;
  }
  void event(const std::string& text) const;

  const SourceOptions options_;
  mutable std::mutex mutex_;
  std::condition_variable_any changed_;
  SourceStats stats_;
  std::stop_token stop_;
  std::string lost_;         // why the connection is no more; empty while it is there
  bool closed_ = false;      // nobody takes messages any more
  bool heard_ = false;       // a message has come, or the subscriptions were granted
  bool progress_ = false;    // a message was safe on this connection
  bool subscribed_ = false;  // with our settings; the receiving thread's
};

void Source::Impl::receive(const Take& take, const std::stop_token& stop) {
  const TimePoint give_up =
      detail::later(steady_clock().now(), options_.connection.connect_timeout);
  Backoff backoff(options_.connection.reconnect_first, options_.connection.reconnect_max);
  {
    const std::lock_guard lock(mutex_);
    stop_ = stop;
    closed_ = false;
    heard_ = false;
    subscribed_ = false;
  }
  while (!stop.stop_requested()) {
    try {
      const auto client = connect(take);
      std::unique_lock lock(mutex_);
      changed_.wait(lock, stop, [&] { return !lost_.empty(); });
      if (closed_) return;
      if (std::exchange(progress_, false)) backoff.reset();
    } catch (const Error& error) {
      if (!subscribed_) throw;
      lost(error.what());
    } catch (const Unavailable& error) {
      if (!heard() && !stop.stop_requested() && steady_clock().now() >= give_up) throw;
      lost(error.what());
    }
    if (stop.stop_requested()) return;
    const Duration delay = backoff.next();
    event(fmt::format("{}; connecting again in {} ms", lost_, delay.count() / 1'000'000));
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, stop, delay, [] { return false; });
  }
}

std::unique_ptr<Client> Source::Impl::connect(const Take& take) {
  {
    const std::lock_guard lock(mutex_);
    lost_.clear();
  }
  auto client = std::make_unique<Client>(
      options_.connection,
      Session{.client_id = options_.connection.client_id,
              .kept = true,
              .expiry = options_.session_expiry,
              .stop = stop_,
              .timeout = options_.connection.connect_timeout},
      ClientEvents{.arrived = [&](Message&& message) { return arrived(take, std::move(message)); },
                   .lost = [this](std::string why) { lost(std::move(why)); },
                   .published = {}});
  const auto serves = [&] {
    event(fmt::format("connected to {}", options_.connection.server));
    const std::lock_guard lock(mutex_);
    ++stats_.connections;
  };
  const bool present = client->session_present();
  if (present) serves();
  // A kept session may have been made with other settings. While one of its messages waits to be
  // safe, the answer to this cannot come; if that message is not safe in time, we begin anew.
  if (!present || !subscribed_) client->subscribe(options_.subscriptions);
  if (!present) serves();
  subscribed_ = true;
  const std::lock_guard lock(mutex_);
  heard_ = true;
  return client;
}

/// On Paho's thread.
bool Source::Impl::arrived(const Take& take, Message&& message) {
  Taken taken = Taken::not_safe;
  std::string why = "a message was not safe in time";
  if (stop_.stop_requested()) {
    why = "stopped";
  } else {
    try {
      taken = take(std::move(message), options_.acknowledge_timeout);
    } catch (const std::exception& error) {
      why = fmt::format("a message was not taken: {}", error.what());
    } catch (...) {
      why = "a message was not taken";
    }
  }
  const std::lock_guard lock(mutex_);
  heard_ = true;
  if (taken == Taken::safe) {
    ++stats_.messages;
    progress_ = true;
    return true;
  }
  ++stats_.cuts;
  closed_ = taken == Taken::closed;
  if (lost_.empty()) lost_ = why + "; the connection was cut without an acknowledgement";
  changed_.notify_all();
  return false;
}

void Source::Impl::lost(std::string why) {
  const std::lock_guard lock(mutex_);
  if (lost_.empty()) lost_ = why.empty() ? "the connection was lost" : std::move(why);
  changed_.notify_all();
}

bool Source::Impl::must_give_in(TimePoint since) const {
  constexpr Duration patience = std::chrono::milliseconds(100);
  return stop_.stop_requested() || (waiting_sinks().load(std::memory_order_relaxed) > 0 &&
                                    steady_clock().now() - since >= patience);
}

void Source::Impl::event(const std::string& text) const {
  if (options_.connection.on_event) options_.connection.on_event(text);
}

Source::Source(SourceOptions options)
    : impl_(std::make_unique<Impl>(std::move(options))),
      committed_(std::make_unique<std::atomic<std::int64_t>>(-1)),
      waits_for_commit_(impl_->waits_for_commit()) {}
Source::Source(Source&&) noexcept = default;
Source::~Source() = default;

void Source::receive(const Take& take, const std::stop_token& stop) { impl_->receive(take, stop); }
bool Source::must_give_in(TimePoint since) const { return impl_->must_give_in(since); }
SourceStats Source::stats() const { return impl_->stats(); }

}  // namespace microbatch::inline v0_1::mqtt
