#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <deque>
#include <optional>
#include <utility>
#include <vector>

#include "../concepts/emitter.hpp"
#include "../core/key_map.hpp"
#include "by_item.hpp"

namespace microbatch::inline v0_1::detail {

/// One window that is ready to leave: which buckets it takes, of which it copies how many, and what
/// it tells.
template <class K>
struct Leaving {
  struct Copied {
    BucketId id;
    std::size_t n;
  };

  Reason reason = Reason::watermark;
  std::optional<EventBounds> bounds{};
  std::optional<K> key{};
  std::vector<BucketId> owned{};
  std::vector<Copied> copied{};

  void clear() noexcept {
    bounds.reset();
    key.reset();
    owned.clear();
    copied.clear();
  }
  [[nodiscard]] bool has_key() const noexcept { return key && !std::same_as<K, NoKey>; }
  [[nodiscard]] bool takes_nothing() const noexcept { return owned.empty() && copied.empty(); }
  template <class T>
  [[nodiscard]] std::size_t size(const Pending<T>& pending) const noexcept {
    std::size_t n = 0;
    for (const BucketId id : owned) n += pending.size(id);
    for (const Copied& c : copied) n += std::min(c.n, pending.size(c.id));
    return n;
  }
};

/// Never two windows of a key in flight: windows whose key is, wait here for its end, in order.
///
/// Threads: the emitter's.
template <class K>
class KeysInFlight {
 public:
  /// True: `window` may not leave yet; it is kept here.
  [[nodiscard]] bool hold(Leaving<K>& window) {
    if (!window.has_key()) return false;
    const std::uint32_t slot = busy_.find(*window.key);
    if (slot == busy_.none) return false;
    busy_[slot].push_back(std::move(window));
    window.clear();
    return true;
  }
  /// A window that was held and may leave now, if there is one.
  [[nodiscard]] bool release(Leaving<K>& window) {
    if (released_.empty()) return false;
    window = std::move(released_.front());
    released_.pop_front();
    return true;
  }

  void begin(const K& key) {
    busy_.insert(key, [] { return std::vector<Leaving<K>>(); });
  }
  void end(const K& key) {
    const std::uint32_t slot = busy_.find(key);
    if (slot == busy_.none) return;
    if (busy_[slot].empty()) return busy_.erase(slot);
    // The key stays busy: what was held first goes before anything else of it.
    released_.push_back(std::move(busy_[slot].front()));
    busy_[slot].erase(busy_[slot].begin());
  }

 private:
  KeyMap<K, std::vector<Leaving<K>>> busy_;
  std::deque<Leaving<K>> released_;
};

/// The way out of an emitter that routes items into buckets: it chooses one window at a time, tells
/// the draft what is in it, and closes its buckets when they have been emptied.
template <class T, class K>
class Exit {
 public:
  /// Chooses the next window, if none is chosen. `next(window)` gives one after the other.
  template <class Next>
  bool choose(Pending<T>& pending, Next&& next) {
    if (chosen_ && !window_.takes_nothing() && window_.size(pending) == 0) {
      chosen_ = false;  // all of it was dropped while it waited
      close_buckets(pending, window_);
    }
    if (chosen_) return true;
    chosen_ = in_flight_.release(window_);
    while (!chosen_ && (window_.clear(), next(window_))) chosen_ = !in_flight_.hold(window_);
    return chosen_;
  }
  [[nodiscard]] bool chosen() const noexcept { return chosen_; }
  [[nodiscard]] const Leaving<K>& window() const noexcept { return window_; }

  /// Why it leaves: those that were made to leave together do so for the same reason.
  [[nodiscard]] Reason reason() const noexcept {
    return window_.reason == Reason::flush ? forced_ : window_.reason;
  }

  void query(Pending<T>& pending, Draft<T>& draft, const Readiness& readiness) {
    if (!chosen_) return;
    if (!readiness.ready) forced_ = readiness.reason;
    for (const BucketId id : window_.owned)
      if (const std::size_t n = pending.size(id); n > 0) draft.take_from(id, n);
    if constexpr (std::copy_constructible<T>) {
      for (const auto& copied : window_.copied)
        if (const std::size_t n = std::min(copied.n, pending.size(copied.id)); n > 0)
          draft.copy_from(copied.id, n);
    }
    if (window_.bounds) draft.set_event_bounds(*window_.bounds);
    if (window_.has_key()) draft.set_key(*window_.key);
  }
  void on_emit() {
    if (window_.has_key()) in_flight_.begin(*window_.key);
    std::swap(gone_, window_);
    chosen_ = false;
    leaving_ = true;
  }
  void ended(const Window<T>& window) {
    if constexpr (!std::same_as<K, NoKey>)
      if (window.has_key()) in_flight_.end(window.template key<K>());
  }

  /// Before anything else: the buckets of the window that left are free. Or it did not leave after
  /// all (a copy threw): then it is chosen again.
  void tidy(Pending<T>& pending) {
    if (!std::exchange(leaving_, false)) return;
    const bool stayed = std::any_of(gone_.owned.begin(), gone_.owned.end(),
                                    [&](BucketId id) { return pending.size(id) > 0; });
    if (stayed) {
      std::swap(window_, gone_);
      chosen_ = true;
    } else {
      close_buckets(pending, gone_);
    }
  }

 private:
  static void close_buckets(Pending<T>& pending, Leaving<K>& window) {
    for (const BucketId id : window.owned) pending.close_bucket(id);
    window.clear();
  }

  KeysInFlight<K> in_flight_;
  Leaving<K> window_;
  Leaving<K> gone_;
  Reason forced_ = Reason::flush;  // flush, close or capacity
  bool chosen_ = false;
  bool leaving_ = false;
};

}  // namespace microbatch::inline v0_1::detail
