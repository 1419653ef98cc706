#pragma once

#include <atomic>
#include <cstddef>

namespace microbatch::inline v0_1::detail {

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

/// Which streams' callbacks wait for which streams, in the whole process: two that wait for each
/// other would wait for ever. Asked only by a callback that is about to wait.
class WaitGraph {
 public:
  /// Adds what the present thread's callbacks would wait for; false if that closes a circle.
  [[nodiscard]] static bool add(const CallbackFrame* waiting, const void* stream);
  static void remove(const CallbackFrame* waiting, const void* stream) noexcept;
};

/// A thread that is about to wait for what the engine of `stream`, on `host`, has to do. From
/// inside a callback that may be a deadlock: the stream is its own, or waits for it in turn, or the
/// host has no worker left. Any other thread may wait as it likes.
class WaitForStream {
 public:
  WaitForStream(const void* stream, HostThreads* host)
      : stream_(stream), role_(this_thread_role()) {
    if (role_.callback == nullptr) return;
    if (host != nullptr && role_.host == host && host->begin_wait()) host_ = host;
    const bool worker_left = host_ != nullptr || host == nullptr || role_.host != host;
    added_ =
        worker_left && !role_.inside_callback_of(stream) && WaitGraph::add(role_.callback, stream);
  }
  WaitForStream(const WaitForStream&) = delete;
  WaitForStream& operator=(const WaitForStream&) = delete;
  ~WaitForStream() {
    if (host_ != nullptr) host_->end_wait();
    if (added_) WaitGraph::remove(role_.callback, stream_);
  }
  [[nodiscard]] bool would_deadlock() const noexcept {
    return role_.callback != nullptr && !added_;
  }

 private:
  const void* stream_;
  const ThreadRole& role_;
  HostThreads* host_ = nullptr;
  bool added_ = false;
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

}  // namespace microbatch::inline v0_1::detail
