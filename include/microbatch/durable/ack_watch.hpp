#pragma once

#include <chrono>
#include <cstdint>
#include <exception>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "../concepts/storage.hpp"
#include "../core/acknowledgement.hpp"

namespace microbatch::inline v0_1 {

/// What an acknowledgement of a durable stream throws for a dead letter: the text of the callback's
/// own error, which may have been thrown in another process.
class DeadLettered : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

namespace detail {

/// Takes written items whose appenders wait for their end.
class Acks {
 public:
  virtual ~Acks() = default;
  /// `state` is the item's side of it; it is released when the item has ended.
  virtual void add(Position position, AckState* state) = 0;
};

/// Tells appenders how their items ended, whichever process ended them. It looks into the store
/// when something has ended there.
///
/// Threads: any. One of its own, from the first item on; it sleeps while nothing ends.
template <Storage S>
class AckWatch final : public Acks {
 public:
  explicit AckWatch(std::shared_ptr<S> store) : store_(std::move(store)) {}
  AckWatch(const AckWatch&) = delete;
  AckWatch& operator=(const AckWatch&) = delete;
  /// Items that have not ended by now stay in the store, and their appenders are told so.
  ~AckWatch() override {
    if (thread_.joinable()) {
      thread_.request_stop();
      store_->wake(Bell::ended);
      thread_.join();
    }
    if (fresh_.empty() && open_.empty()) return;
    const std::exception_ptr left = error_of_close();
    for (const auto& [position, state] : fresh_) complete(state, left);
    for (const auto& [position, state] : open_) complete(state, left);
  }

  void add(Position position, AckState* state) override {
    {
      std::lock_guard lock(mutex_);
      fresh_.emplace_back(position, state);
      if (!thread_.joinable())
        thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
    }
    store_->wake(Bell::ended);
  }

 private:
  void run(const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      const std::uint64_t seen = store_->notice(Bell::ended);
      bool answered = false;
      try {
        take_fresh();
        look();
        answered = true;
      } catch (...) {  // the store does not answer, or there is no memory: it may pass
      }
      store_->wait(Bell::ended, seen,
                   answered ? never : later(steady_clock().now(), std::chrono::milliseconds(100)));
    }
  }

  void take_fresh() {
    std::lock_guard lock(mutex_);
    for (const auto& item : fresh_) open_.insert(item);
    fresh_.clear();
  }
  void look() {
    std::vector<Position> positions;
    positions.reserve(open_.size());
    for (const auto& [position, state] : open_) positions.push_back(position);
    if (positions.empty()) return;
    const auto ends = store_->ends(positions);
    for (std::size_t i = 0; i < ends.size(); ++i) {
      if (!ends[i]) continue;
      const auto at = open_.find(positions[i]);
      complete(at->second, error_of(*ends[i]));
      open_.erase(at);
    }
  }

  static std::exception_ptr error_of(const ItemEnd& end) {
    switch (end.outcome) {
      case Outcome::delivered:
        return nullptr;
      case Outcome::dead_lettered:
        return std::make_exception_ptr(DeadLettered(end.error));
      default:
        return std::make_exception_ptr(NotDelivered(end.outcome, "item dropped: " + end.error));
    }
  }
  static std::exception_ptr error_of_close() noexcept {
    try {
      return std::make_exception_ptr(
          NotDelivered(Outcome::abandoned,
                       "the stream was closed; the item is in the store, and has not ended"));
    } catch (...) {  // no memory for it: that is what they hear, then
      return std::current_exception();
    }
  }
  static void complete(AckState* state, std::exception_ptr error) {
    state->complete(std::move(error));
    state->release();
  }

  const std::shared_ptr<S> store_;
  std::mutex mutex_;
  std::vector<std::pair<Position, AckState*>> fresh_;  // written, not looked at yet
  std::jthread thread_;
  std::map<Position, AckState*> open_;  // the thread's
};

}  // namespace detail
}  // namespace microbatch::inline v0_1
