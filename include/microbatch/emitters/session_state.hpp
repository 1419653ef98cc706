#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <optional>
#include <utility>
#include <vector>

#include "event_windows.hpp"
#include "leaving.hpp"
#include "placing.hpp"

namespace microbatch::inline v0_1::detail {

struct SessionShape {
  Duration gap;
};

/// Sessions over event time, by key: each is a bucket and the stretch from its first item until
/// `gap` after its last. Which one ends next is told by a heap of ends, looked up again where an
/// item has come since.
template <class T, class Timestamp, class KeyFn>
class SessionState {
 public:
  using K = key_of_t<KeyFn, T>;

  SessionState(const SessionShape& shape, const Timestamp& timestamp, const KeyFn& key,
               const EventTimeOptions& options)
      : gap_(shape.gap), placing_(timestamp, key, options) {}

  Readiness window_ready(Pending<T>& pending, TimePoint now) {
    exit_.tidy(pending);
    take_in(pending, now);
    placing_.watermark.pass(now);
    end_sessions();
    const bool ready = choose(pending);
    return {.ready = ready,
            .reason = ready ? exit_.reason() : Reason::watermark,
            .limit = ready ? 0 : routed_at_once,
            .at_items = pending.total() + 1,
            .at = ends_.empty() ? never : placing_.watermark.next_pass(ends_.front().end),
            .error = placing_.take_error()};
  }

  /// The session that would end next leaves as it is.
  Readiness flush(Pending<T>& pending) {
    if (!exit_.chosen()) {
      refresh_front();
      if (!ends_.empty()) leave_first(Reason::flush);
      choose(pending);
    }
    return {.ready = exit_.chosen()};
  }

  [[nodiscard]] Exit<T, K>& exit() noexcept { return exit_; }

 private:
  // There may be a million of them.
  struct Session {
    EventBounds bounds;
    BucketId bucket;
    std::uint32_t id;  // of a key's few sessions no two are four billion sessions apart
  };
  struct End {
    EventTime end;
    std::uint32_t id;
    std::uint32_t slot;  // of its key
  };
  static bool later(const End& a, const End& b) noexcept {
    return a.end != b.end ? a.end > b.end : a.id > b.id;
  }

  void take_in(Pending<T>& pending, TimePoint now) {
    for (;;) {
      if (!pending.marks().empty() && placing_.heed_marks(pending, 0, now)) end_sessions();
      if (pending.empty()) return;
      pending.route_front(place(pending, now));
      end_sessions();  // what follows meets another watermark
    }
  }

  /// The bucket for the front item, by the watermark that it meets; then it moves the watermark.
  BucketId place(Pending<T>& pending, TimePoint now) {
    const T& item = std::as_const(pending[0]);
    const std::optional<EventTime> t = placing_.time_of(item);
    if (!t) return placing_.side(pending, Side::unplaced);
    const EventTime met = placing_.watermark.now();
    if (!placing_.watermark.observe(pending.origin(0).partition, *t, now))
      return placing_.side(pending, Side::unplaced);
    BucketId bucket{};
    const bool has_key = placing_.with_key(item, [&](auto&& key) {
      const std::uint32_t slot = open_.find(key);
      if (slot != open_.none)
        if (Session* session = joined(pending, slot, *t)) {
          bucket = session->bucket;
          return;
        }
      bucket = begin_session(pending, *t, met, slot, std::forward<decltype(key)>(key));
    });
    return has_key ? bucket : placing_.side(pending, Side::unplaced);
  }

  /// The open session of a key that an item at t belongs to, two of them made one where it joins
  /// them; null if it belongs to none.
  Session* joined(Pending<T>& pending, std::uint32_t slot, EventTime t) {
    auto& sessions = open_[slot];  // by time
    const auto touches = [&](const Session& s) {
      return t < s.bounds.end && s.bounds.begin < t + gap_;
    };
    const auto first = std::find_if(sessions.begin(), sessions.end(), touches);
    if (first == sessions.end()) return nullptr;
    first->bounds.begin = std::min(first->bounds.begin, t);
    first->bounds.end = std::max(first->bounds.end, t + gap_);
    const auto second = first + 1;
    if (second != sessions.end() && touches(*second)) {
      first->bounds.end = std::max(first->bounds.end, second->bounds.end);
      pending.merge(second->bucket, first->bucket);
      pending.close_bucket(second->bucket);
      sessions.erase(second);
    }
    return &*first;
  }

  template <class Q>
  BucketId begin_session(Pending<T>& pending, EventTime t, EventTime met, std::uint32_t slot,
                         Q&& key) {
    const EventBounds bounds{t, t + gap_};
    const bool late = met >= bounds.end;
    if (late && met >= bounds.end + placing_.watermark.options().allowed_lateness)
      return placing_.side(pending, Side::too_late);
    if (slot == open_.none)
      slot = open_.insert(std::forward<Q>(key), [] { return std::vector<Session>(); }).first;
    const Session session{.bounds = bounds, .bucket = pending.open_bucket(), .id = next_id_++};
    if (late) {
      leave(slot, session, Reason::late);
      return session.bucket;
    }
    auto& sessions = open_[slot];
    sessions.insert(std::find_if(sessions.begin(), sessions.end(),
                                 [&](const Session& s) { return s.bounds.begin > t; }),
                    session);
    ends_.push_back({bounds.end, session.id, slot});
    std::push_heap(ends_.begin(), ends_.end(), later);
    return session.bucket;
  }

  /// Makes the first of the ends a true one: its session is there, and ends then.
  void refresh_front() {
    while (!ends_.empty()) {
      const End end = ends_.front();
      const Session* session = find(end);
      if (session != nullptr && session->bounds.end == end.end) return;
      std::pop_heap(ends_.begin(), ends_.end(), later);
      if (session == nullptr) {  // joined to another
        ends_.pop_back();
      } else {
        ends_.back().end = session->bounds.end;
        std::push_heap(ends_.begin(), ends_.end(), later);
      }
    }
  }
  [[nodiscard]] Session* find(const End& end) {
    auto& sessions = open_[end.slot];
    const auto at = std::find_if(sessions.begin(), sessions.end(),
                                 [&](const Session& s) { return s.id == end.id; });
    return at == sessions.end() ? nullptr : &*at;
  }

  void end_sessions() {
    while (!ends_.empty() && ends_.front().end <= placing_.watermark.now()) {
      refresh_front();
      if (!ends_.empty() && ends_.front().end <= placing_.watermark.now())
        leave_first(Reason::watermark);
    }
  }
  /// The session of the first (true) end leaves.
  void leave_first(Reason reason) {
    const End end = ends_.front();
    std::pop_heap(ends_.begin(), ends_.end(), later);
    ends_.pop_back();
    auto& sessions = open_[end.slot];
    const auto at = std::find_if(sessions.begin(), sessions.end(),
                                 [&](const Session& s) { return s.id == end.id; });
    const Session session = *at;
    sessions.erase(at);
    leave(end.slot, session, reason);
  }
  void leave(std::uint32_t slot, const Session& session, Reason reason) {
    leaving_.push_back({.reason = reason, .bounds = session.bounds, .key = open_.key(slot)});
    leaving_.back().owned.push_back(session.bucket);
    if (open_[slot].empty()) open_.erase(slot);  // an idle key is forgotten
  }

  bool choose(Pending<T>& pending) {
    return exit_.choose(pending, [&](Leaving<K>& window) {
      if (placing_.leave_side(pending, window)) return true;
      if (leaving_.empty()) return false;
      window = std::move(leaving_.front());
      leaving_.pop_front();
      return true;
    });
  }

  const Duration gap_;
  Placing<T, Timestamp, KeyFn> placing_;
  KeyMap<K, std::vector<Session>> open_;
  std::vector<End> ends_;  // a heap, the earliest first
  std::uint32_t next_id_ = 0;
  std::deque<Leaving<K>> leaving_;
  Exit<T, K> exit_;
};

template <class Timestamp, class KeyFn = Unkeyed>
using SessionWindows = EventWindows<SessionState, SessionShape, Timestamp, KeyFn>;

}  // namespace microbatch::inline v0_1::detail
