#pragma once

#include <atomic>
#include <cstddef>

namespace microbatch::detail {

/// The threads of a host (a pool), for the guard against a pool that waits for itself: a worker may
/// wait for room in a stream of its own pool only while another worker is left to make that room.
struct HostThreads {
  std::size_t size = 0;
  std::atomic<std::size_t> waiting{0};

  /// False: the caller would be the last one to wait.
  [[nodiscard]] bool begin_wait() noexcept {
    // seq_cst is not needed: the count alone decides, and read-modify-writes agree on it.
    if (waiting.fetch_add(1, std::memory_order_relaxed) + 1 < size) return true;
    waiting.fetch_sub(1, std::memory_order_relaxed);
    return false;
  }
  void end_wait() noexcept { waiting.fetch_sub(1, std::memory_order_relaxed); }
};

/// Callbacks that the present thread is inside of, innermost first.
struct CallbackFrame {
  const void* stream;
  CallbackFrame* outer;
};

struct ThreadRole {
  CallbackFrame* callback = nullptr;
  HostThreads* host = nullptr;

  [[nodiscard]] bool inside_callback_of(const void* stream) const noexcept {
    for (const CallbackFrame* f = callback; f != nullptr; f = f->outer)
      if (f->stream == stream) return true;
    return false;
  }
};

[[nodiscard]] ThreadRole& this_thread_role() noexcept;

/// A worker that waits, from inside a callback, for what its own host would have to do. Any other
/// thread may wait as it likes.
class WaitOnHost {
 public:
  explicit WaitOnHost(HostThreads* host) noexcept {
    const ThreadRole& role = this_thread_role();
    if (host == nullptr || role.host != host || role.callback == nullptr) return;
    last_ = !host->begin_wait();
    if (!last_) host_ = host;
  }
  WaitOnHost(const WaitOnHost&) = delete;
  WaitOnHost& operator=(const WaitOnHost&) = delete;
  ~WaitOnHost() {
    if (host_ != nullptr) host_->end_wait();
  }
  /// Nobody would be left to do it.
  [[nodiscard]] bool would_deadlock() const noexcept { return last_; }

 private:
  HostThreads* host_ = nullptr;
  bool last_ = false;
};

class InsideCallback {
 public:
  explicit InsideCallback(const void* stream) noexcept
      : frame_{stream, this_thread_role().callback} {
    this_thread_role().callback = &frame_;
  }
  InsideCallback(const InsideCallback&) = delete;
  InsideCallback& operator=(const InsideCallback&) = delete;
  ~InsideCallback() { this_thread_role().callback = frame_.outer; }

 private:
  CallbackFrame frame_;
};

}  // namespace microbatch::detail
