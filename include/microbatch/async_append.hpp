#pragma once

#include <coroutine>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>

#include "stream.hpp"

namespace microbatch::inline v0_1 {

/// `co_await AsyncAppend(stream, item)`: an append that waits for room without a thread. Its
/// answers are append()'s; a stream that does not block when it is full answers at once.
///
/// It resumes on the thread that made the room, a worker of the consumer's outside of callbacks, or
/// on one that ends the stream; a coroutine that has more to do than to append goes on to an
/// executor of its own, and must not wait for the consumer there. A full stream without a consumer
/// answers `full`.
/// Lifetime: the stream must outlive it. A coroutine that is destroyed while it waits is forgotten;
/// not while it is being resumed.
template <class T>
class [[nodiscard]] AsyncAppend final : private detail::RoomSleeper {
 public:
  AsyncAppend(Stream<T>& stream, T item)
      : stream_(stream),
        core_(detail::CoreOf<T>::get(stream)),
        item_(std::move(item)),
        stuck_(core_->admission.stuck()) {}
  ~AsyncAppend() { core_->sleepers.remove(*this); }

  [[nodiscard]] bool await_ready() { return has_answer(); }
  bool await_suspend(std::coroutine_handle<> coroutine) {
    coroutine_ = coroutine;
    waiter_.emplace(core_->room, 0);
    core_->wake.ring_always();  // an engine that waits for items learns that somebody wants room
    (void)core_->lanes.reclaim();
    return falls_asleep();
  }
  AppendResult await_resume() noexcept {
    waiter_.reset();
    return result_;
  }
  /// The item, where it was not taken.
  [[nodiscard]] T& item() noexcept { return item_; }

 private:
  /// False: it has to wait.
  bool has_answer() {
    result_ = stream_.try_append(std::move(item_));
    return result_ != AppendResult::full || core_->options().overflow != Overflow::block ||
           !core_->attached() || core_->admission.stuck() != stuck_;
  }
  /// False: there is an answer after all.
  bool falls_asleep() {
    for (;;) {
      const std::uint64_t seen = core_->room.changes();
      if (has_answer()) return false;
      core_->sleepers.add(*this);
      // What changed before we were added has woken nobody.
      if (core_->room.changes() == seen || !core_->sleepers.remove(*this)) return true;
    }
  }
  void wake() override {
    if (!falls_asleep()) coroutine_.resume();
  }

  Stream<T>& stream_;
  const std::shared_ptr<detail::StreamCore<T>> core_;
  T item_;
  const std::uint64_t stuck_;
  std::coroutine_handle<> coroutine_;
  std::optional<detail::Room::Waiter> waiter_;
  AppendResult result_ = AppendResult::full;
};

}  // namespace microbatch::inline v0_1
