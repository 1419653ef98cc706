#pragma once

#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <string_view>

#include "clock.hpp"
#include "results.hpp"

namespace microbatch::inline v0_1 {

/// A moment in a window's life, for tracing and logging. Each attempt begins and ends once, also
/// where its callback throws; each window settles once, after all its attempts.
struct WindowEvent {
  enum class Kind : std::uint8_t {
    begun,    ///< an attempt: the callback is about to be called (or the sink, see put_only)
    ended,    ///< it has returned or thrown, and the sink with it
    settled,  ///< the window's last item has ended
  };

  Kind kind{};
  std::string_view stream{};  ///< StreamOptions::name; valid during the call
  std::uint64_t sequence = 0;
  std::uint32_t part = 0;     ///< 0 for the whole window, see Window::part
  std::uint32_t attempt = 0;  ///< from 1, see Window::attempt; of a settled window, its last one
  Reason reason{};
  std::size_t items = 0;  ///< of the part; of a settled window, all it had
  TimePoint emitted_at{};
  TimePoint begun_at{};        ///< of the attempt; of a settled window, emitted_at
  TimePoint at{};              ///< now, on the stream's clock
  bool put_only = false;       ///< the callback has succeeded before; this attempt is the sink's
  bool undone = false;         ///< settled: some items were handed back or abandoned
  std::exception_ptr error{};  ///< ended: what it failed with; null where it succeeded
};

/// Called on the threads that make the attempts, so for one window after the other, for several at
/// a time where they run at a time. What it throws goes to on_error.
using WindowObserver = std::function<void(const WindowEvent&)>;

[[nodiscard]] constexpr std::string_view to_string(WindowEvent::Kind kind) noexcept {
  constexpr std::string_view names[] = {"begun", "ended", "settled"};
  return names[static_cast<std::size_t>(kind)];
}

}  // namespace microbatch::inline v0_1
