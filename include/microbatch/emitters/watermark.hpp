#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include <fmt/format.h>

#include "../core/errors.hpp"
#include "../core/event_time.hpp"
#include "check.hpp"

namespace microbatch::inline v0_1 {

/// How an emitter goes by event time.
struct EventTimeOptions {
  Duration out_of_orderness{};  ///< so much older than the newest item an item may be, and in time
  Duration allowed_lateness{};  ///< so long after that it still counts as its window's
  Duration idle_after = Duration::max();       ///< see Watermark
  Duration max_jump = std::chrono::hours(24);  ///< see Watermark
  EventTime origin{};                          ///< where a window begins (and thereby their offset)

  void check() const {
    const auto check_range = [](const char* what, Duration d) {
      constexpr Duration most = std::chrono::hours(24 * 365);
      if (d < Duration::zero() || d > most)
        throw ConfigError(fmt::format("EventTimeOptions.{} must be from 0 ns to a year, got {} ns",
                                      what, d.count()));
    };
    check_range("out_of_orderness", out_of_orderness);
    check_range("allowed_lateness", allowed_lateness);
    if (origin < EventTime{} || origin > detail::latest_event)
      throw ConfigError(fmt::format("EventTimeOptions.origin must be from 1970 to 2116, got {} ns",
                                    origin.time_since_epoch().count()));
    if (idle_after <= Duration::zero())
      throw ConfigError(fmt::format("EventTimeOptions.idle_after must be above 0 ns, got {} ns",
                                    idle_after.count()));
    if (max_jump <= Duration::zero())
      throw ConfigError(
          fmt::format("EventTimeOptions.max_jump must be above 0 ns, got {} ns", max_jump.count()));
  }
};

/// How far event time has come: nothing older is expected any more. Per source partition it is the
/// newest timestamp seen minus out_of_orderness; the whole is the least of the partitions that are
/// active, and never goes back.
///
/// Idle: a partition that brings nothing for idle_after holds the others back no more. When all of
/// them are idle, the watermark goes on with the clock, as if an item had come at every moment
/// since the last one, so that the last window closes also where nothing follows.
///
/// Jumps: a timestamp further ahead of its partition's newest than max_jump (plus the time that has
/// passed here since then) moves nothing, and its item is not placed, so that one bad clock cannot
/// close every window. When `believed_after` in a row say so, it is the others that were wrong.
///
/// Threads: one at a time.
class Watermark {
 public:
  static constexpr std::uint32_t believed_after = 16;

  explicit Watermark(const EventTimeOptions& options) : options_((options.check(), options)) {}

  /// Nothing before this time is expected. EventTime::min() before the first item.
  [[nodiscard]] EventTime now() const noexcept { return watermark_; }

  /// An item of a partition, in the order of arrival. False: too far ahead to be believed. Judge
  /// its lateness by now() before this call.
  bool observe(std::uint32_t partition, EventTime t, TimePoint seen_at) {
    Partition& p = find(partition);
    last_seen_ = seen_at;
    if (t <= p.newest && p.known) {  // nothing that could move
      p.seen_at = seen_at;
      p.doubted = 0;
      p.idle = false;
      return true;
    }
    if (p.known && is_jump(p, t, seen_at)) {
      if (++p.doubted < believed_after) return false;
    }
    const bool was_least = !p.known || p.idle || p.newest - options_.out_of_orderness <= watermark_;
    p.doubted = 0;
    p.newest = t;
    p.seen_at = seen_at;
    p.known = true;
    p.idle = false;
    if (partitions_.size() == 1)
      raise(t - options_.out_of_orderness);
    else if (was_least)
      raise(least());
    return true;
  }

  /// Up to this time (not included) items of a partition are believed and leave now() below `end`,
  /// so that many of them may be told as one: by their newest, to reach().
  [[nodiscard]] EventTime free_until(std::uint32_t partition, EventTime end) {
    const Partition& p = find(partition);
    if (!p.known) return EventTime::min();
    const auto plus = [](EventTime t, Duration d) {
      return d < EventTime::max() - t ? t + d : EventTime::max();
    };
    return std::min(plus(end, options_.out_of_orderness), plus(p.newest, options_.max_jump));
  }
  void reach(std::uint32_t partition, EventTime newest, TimePoint seen_at) {
    Partition& p = find(partition);
    p.newest = std::max(p.newest, newest);
    p.seen_at = last_seen_ = seen_at;
    p.doubted = 0;
    p.idle = false;
    raise(least());
  }

  /// A source says so, in band: this partition brings nothing for now.
  void mark_idle(std::uint32_t partition) {
    Partition& p = find(partition);
    p.idle = true;
    raise(least());
  }
  /// A source says so, in band: this partition will bring items of any time. It is not idle before
  /// the source says that, too.
  void mark_awaited(std::uint32_t partition) {
    Partition& p = find(partition);
    p.awaited = !p.known;
    p.idle = false;
  }
  /// A source says so, in band: this partition brings nothing any more. Nothing of it is kept.
  void mark_ended(std::uint32_t partition) {
    const auto at = std::ranges::find(partitions_, partition, &Partition::id);
    if (at == partitions_.end()) return;
    newest_ended_ = std::max(newest_ended_, at->newest);
    partitions_.erase(at);
    raise(least());
  }
  /// A source says so, in band: everything of this partition before t has come.
  void mark_time(std::uint32_t partition, EventTime t, TimePoint seen_at) {
    Partition& p = find(partition);
    const EventTime reached = t + options_.out_of_orderness;
    if (!p.known || reached > p.newest) p.newest = reached;
    p.known = true;
    p.idle = false;
    p.seen_at = last_seen_ = seen_at;
    raise(least());
  }

  /// Time has passed here, and everything that had arrived has been observed.
  void pass(TimePoint now) {
    if (options_.idle_after == Duration::max()) return;
    bool turned = false;
    bool all_idle = true;
    for (Partition& p : partitions_) {
      if (!p.idle && p.known && now >= later(p.seen_at, options_.idle_after))
        turned = p.idle = true;
      all_idle = all_idle && (p.idle || !p.counts());
    }
    if (turned) raise(least());
    if (all_idle && newest() != EventTime::min())
      raise(newest() - options_.out_of_orderness + (now - last_seen_));
  }

  /// When pass() alone would bring the watermark to t, or the next partition turns idle.
  [[nodiscard]] TimePoint next_pass(EventTime t) const noexcept {
    if (options_.idle_after == Duration::max()) return never;
    TimePoint next = never;
    bool all_idle = true;
    for (const Partition& p : partitions_) {
      if (p.idle || !p.counts()) continue;
      all_idle = false;
      if (p.known) next = std::min(next, later(p.seen_at, options_.idle_after));
    }
    if (!all_idle || newest() == EventTime::min()) return next;
    return later(last_seen_, t - (newest() - options_.out_of_orderness));
  }

  /// How many partitions it keeps.
  [[nodiscard]] std::size_t partitions() const noexcept { return partitions_.size(); }
  [[nodiscard]] const EventTimeOptions& options() const noexcept { return options_; }

 private:
  struct Partition {
    std::uint32_t id = 0;
    EventTime newest = EventTime::min();
    TimePoint seen_at{};
    std::uint32_t doubted = 0;
    bool known = false;    // has brought an item
    bool awaited = false;  // will bring its first one
    bool idle = false;

    [[nodiscard]] bool counts() const noexcept { return known || awaited; }
  };

  static TimePoint later(TimePoint t, Duration d) noexcept { return detail::later(t, d); }

  Partition& find(std::uint32_t id) {
    if (last_ < partitions_.size() && partitions_[last_].id == id) return partitions_[last_];
    for (last_ = 0; last_ < partitions_.size(); ++last_)
      if (partitions_[last_].id == id) return partitions_[last_];
    partitions_.push_back({.id = id});
    return partitions_.back();
  }
  [[nodiscard]] bool is_jump(const Partition& p, EventTime t, TimePoint seen_at) const noexcept {
    if (options_.max_jump == Duration::max()) return false;
    const Duration ahead = t - p.newest;
    return ahead > options_.max_jump && ahead - options_.max_jump > seen_at - p.seen_at;
  }
  /// The least of the active partitions, or of none of them: what it was.
  [[nodiscard]] EventTime least() const noexcept {
    EventTime least = EventTime::max();
    for (const Partition& p : partitions_)
      if (p.counts() && !p.idle) least = std::min(least, p.newest);
    if (least == EventTime::max()) least = newest();
    return least == EventTime::min() ? least : least - options_.out_of_orderness;
  }
  [[nodiscard]] EventTime newest() const noexcept {
    EventTime newest = newest_ended_;
    for (const Partition& p : partitions_)
      if (p.known) newest = std::max(newest, p.newest);
    return newest;
  }
  void raise(EventTime to) noexcept { watermark_ = std::max(watermark_, to); }

  EventTimeOptions options_;
  std::vector<Partition> partitions_;
  std::size_t last_ = 0;
  EventTime newest_ended_ = EventTime::min();  // of partitions that are kept no more
  EventTime watermark_ = EventTime::min();
  TimePoint last_seen_{};
};

}  // namespace microbatch::inline v0_1
