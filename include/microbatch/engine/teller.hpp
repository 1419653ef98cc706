#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <iterator>
#include <list>
#include <mutex>
#include <utility>
#include <vector>

#include "../consumer_options.hpp"
#include "../core/thread_role.hpp"
#include "../stream_core.hpp"

namespace microbatch::inline v0_1::detail {

/// Tells users what settling has led to: dead letters, acknowledgements, commits, settled
/// windows and background errors, in this order, so that a source commits only what its receiver
/// has. One thread tells at a time, and nobody waits for it: who finds it telling leaves the news
/// to it.
///
/// Threads: whoever holds the token, which is let go while users are told.
template <class T>
class Teller {
 public:
  Teller(StreamCore<T>& core, DeadLetterHandler<T> dead_letters, std::size_t max_kept,
         std::function<void(const BackgroundError&)> on_error, const WindowObserver& on_window)
      : core_(core),
        dead_letters_(std::move(dead_letters)),
        max_kept_(max_kept),
        on_error_(std::move(on_error)),
        on_window_(on_window) {}

  /// Tells all there is; false if there was nothing, or another thread is telling it.
  bool tell(std::unique_lock<std::mutex>& token) {
    if (telling_ || !core_.settlement.has_aftermath()) return false;
    telling_ = true;
    while (core_.settlement.has_aftermath()) {
      core_.settlement.collect(news_);
      token.unlock();
      tell_news();
      token.lock();
    }
    telling_ = false;
    return true;
  }
  /// Under the token: everything that has been settled has been told.
  [[nodiscard]] bool all_told() const noexcept {
    return !telling_ && !core_.settlement.has_aftermath();
  }

  /// The dead letters without a receiver, oldest first.
  [[nodiscard]] std::vector<DeadLetter<T>> take_kept() {
    std::list<DeadLetter<T>> kept;
    {
      std::lock_guard lock(mutex_);
      kept.swap(kept_);
    }
    return {std::make_move_iterator(kept.begin()), std::make_move_iterator(kept.end())};
  }
  /// Dead letters beyond those that are kept.
  [[nodiscard]] std::uint64_t lost() const noexcept {
    return lost_.load(std::memory_order_relaxed);
  }

 private:
  void tell_news() {
    const InsideCallback inside(&core_);  // an observer that waited for us would wait for itself
    for (auto& letter : news_.letters) {
      if (!guarded(BackgroundError::Where::dead_letters, [&] {
            if (!dead_letters_) return false;
            dead_letters_(letter);
            return true;
          }))
        keep(std::move(letter));
    }
    for (auto& [state, error] : news_.acks) {
      guarded(BackgroundError::Where::acknowledgement, [&] {
        state->complete(error);
        return true;
      });
      state->release();
    }
    for (const Origin& origin : news_.commits)
      guarded(BackgroundError::Where::source, [&] {
        core_.settlement.commit(origin);
        return true;
      });
    for (const WindowEvent& event : news_.windows)
      guarded(BackgroundError::Where::observer, [&] {
        on_window_(event);
        return true;
      });
    if (!on_error_) return;
    for (const auto& error : news_.errors) {
      try {
        on_error_(error);
      } catch (...) {  // there is nobody left to tell
      }
    }
  }

  template <class F>
  bool guarded(BackgroundError::Where where, F&& f) {
    try {
      return f();
    } catch (...) {
      const auto error = std::current_exception();
      news_.errors.push_back({where, error, text_of(error)});
      return false;
    }
  }

  void keep(DeadLetter<T>&& letter) {
    std::lock_guard lock(mutex_);
    if (kept_.size() >= max_kept_) {
      lost_.fetch_add(1, std::memory_order_relaxed);
      if (kept_.empty()) return;
      kept_.pop_front();
    }
    kept_.push_back(std::move(letter));
  }

  StreamCore<T>& core_;
  const DeadLetterHandler<T> dead_letters_;
  const std::size_t max_kept_;
  const std::function<void(const BackgroundError&)> on_error_;
  const WindowObserver& on_window_;
  bool telling_ = false;  // under the token
  Aftermath<T> news_;     // the teller's
  std::mutex mutex_;
  std::list<DeadLetter<T>> kept_;       // an empty one takes no memory
  std::atomic<std::uint64_t> lost_{0};  // only counted, never waited for
};

}  // namespace microbatch::inline v0_1::detail
