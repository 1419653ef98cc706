#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace microbatch::inline v0_1 {

/// What became of an append. Whatever is neither accepted nor dropped is left with the caller.
enum class AppendResult : std::uint8_t {
  accepted,
  dropped,         ///< drop_newest: the item was consumed, counted as accepted and as dropped
  full,            ///< no room, and the policy does not wait (or waiting could not help)
  closed,          ///< the stream takes no more input
  timeout,         ///< append_for: no room within the time
  too_large,       ///< the item alone weighs more than max_bytes
  would_deadlock,  ///< a callback waits for room that only its own end could make
  forked,          ///< the stream is a forked child's copy: make a new one there
};

/// append_range: how many were accepted from the front, and what stopped it.
struct RangeResult {
  AppendResult result = AppendResult::accepted;
  std::size_t accepted = 0;

  friend bool operator==(const RangeResult&, const RangeResult&) = default;
};

/// What a full stream does with one more item.
enum class Overflow : std::uint8_t { block, reject, drop_newest, drop_oldest };

/// Why a window left.
enum class Reason : std::uint8_t {
  none,
  count,
  age,
  interval,
  period,
  weight,
  predicate,
  flush,
  close,
  capacity,
  custom,
  watermark,    ///< the event time of its items is over
  late,         ///< its items came after their window had left, within the allowed lateness
  too_late,     ///< ... and beyond it: the side output
  unplaced,     ///< its items have no usable event time or key: the side output, too
  gap,          ///< a session ended
  latency,      ///< any longer, and its oldest item would miss the latency target
  free_worker,  ///< somebody had nothing else to do
};
inline constexpr std::size_t reason_count = 18;

/// How an item ended; every accepted item ends once.
enum class Outcome : std::uint8_t { delivered, dead_lettered, dropped, handed_back, abandoned };

/// Why an accepted item was dropped.
enum class DropCause : std::uint8_t {
  newest,      ///< Overflow::drop_newest
  oldest,      ///< Overflow::drop_oldest
  expired,     ///< older than expire_after
  discarded,   ///< an emitter's Draft::discard
  move_threw,  ///< the item's own move constructor threw while a window was built
  unclaimed,   ///< the stream ended without a consumer to take it
};
inline constexpr std::size_t drop_cause_count = 6;

/// What a failure says about the items.
enum class Failure : std::uint8_t {
  transient,  ///< the fault lies outside them: retry, never take the window apart
  poison,     ///< one of them may be the cause: after max_attempts, isolate it
};

/// In which order windows are called and committed.
enum class Order : std::uint8_t {
  sequential,          ///< one window at a time; a retry holds back the next window
  committed_in_order,  ///< callbacks in parallel, put and commit in the windows' order
  unordered,
};

/// How a consumer ended.
template <class T>
struct CloseResult {
  std::uint64_t delivered = 0;  ///< items, since the consumer began
  std::uint64_t dead_lettered = 0;
  std::uint64_t abandoned = 0;  ///< were inside a callback that did not return in time
  bool timed_out = false;
  std::vector<T> handed_back{};  ///< never delivered; yours again
};

[[nodiscard]] constexpr std::string_view to_string(AppendResult r) noexcept {
  constexpr std::string_view names[] = {"accepted", "dropped",   "full",           "closed",
                                        "timeout",  "too_large", "would_deadlock", "forked"};
  return names[static_cast<std::size_t>(r)];
}

[[nodiscard]] constexpr std::string_view to_string(Reason r) noexcept {
  constexpr std::string_view names[reason_count] = {
      "none",      "count",    "age",      "interval", "period",  "weight",
      "predicate", "flush",    "close",    "capacity", "custom",  "watermark",
      "late",      "too_late", "unplaced", "gap",      "latency", "free_worker"};
  return names[static_cast<std::size_t>(r)];
}

[[nodiscard]] constexpr std::string_view to_string(Outcome o) noexcept {
  constexpr std::string_view names[] = {"delivered", "dead_lettered", "dropped", "handed_back",
                                        "abandoned"};
  return names[static_cast<std::size_t>(o)];
}

[[nodiscard]] constexpr std::string_view to_string(DropCause c) noexcept {
  constexpr std::string_view names[drop_cause_count] = {"newest",    "oldest",     "expired",
                                                        "discarded", "move_threw", "unclaimed"};
  return names[static_cast<std::size_t>(c)];
}

[[nodiscard]] constexpr std::string_view to_string(Overflow o) noexcept {
  constexpr std::string_view names[] = {"block", "reject", "drop_newest", "drop_oldest"};
  return names[static_cast<std::size_t>(o)];
}

[[nodiscard]] constexpr std::string_view to_string(Order o) noexcept {
  constexpr std::string_view names[] = {"sequential", "committed_in_order", "unordered"};
  return names[static_cast<std::size_t>(o)];
}

}  // namespace microbatch::inline v0_1
