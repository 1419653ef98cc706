#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "../concepts/emitter.hpp"
#include "by_item.hpp"

namespace microbatch::inline v0_1::detail {

/// What by_key does: routes items into one bucket per key, and asks a key's emitter about its
/// bucket when that has a new item, when its timer is due, and when its window has ended.
template <class T, class KeyFn, class E>
class KeyedState {
 public:
  using K = key_of_t<KeyFn, T>;

  KeyedState(const KeyFn& key, const E& emitter, std::shared_ptr<std::atomic<bool>> retuned)
      : key_(key), prototype_(emitter), retuned_(std::move(retuned)) {}

  Readiness window_ready(Pending<T>& pending, TimePoint now) {
    tidy(pending);
    take_in(pending);
    ring_timers(now);
    notice_empty(pending);
    if (retuned_->exchange(false, std::memory_order_relaxed))  // the ring has ordered it
      for (std::uint32_t slot = 0; slot < keys_.slots(); ++slot) change(slot);
    std::swap(changed_, asking_);
    for (const std::uint32_t slot : asking_) ask(pending, slot, now);
    asking_.clear();
    forget_idle(pending);
    Readiness readiness{.limit = routed_at_once, .at_items = pending.total() + 1};
    choose(pending, now, readiness);
    drop_stale_timers();
    if (!timers_.empty()) readiness.at = timers_.front().at;
    if (readiness.ready) readiness.limit = 0;
    readiness.error = std::exchange(error_, nullptr);
    return readiness;
  }

  /// The next key in turn that has anything, and nothing in flight.
  Readiness flush(Pending<T>& pending, TimePoint now) {
    for (std::uint32_t i = 0; !chosen_ && i < keys_.slots(); ++i) {
      turn_ = turn_ + 1 < keys_.slots() ? turn_ + 1 : 0;
      Key& key = keys_[turn_];
      if (key.in_flight || !key.alive || pending.size(key.bucket) == 0) continue;
      chosen_ = turn_;
      verdict_ = emitter_of(key).window_ready(view(pending, key, now), now);
      verdict_.ready = false;
    }
    return {.ready = chosen_.has_value()};
  }

  void query(Pending<T>& pending, Draft<T>& draft, const Readiness& readiness) {
    if (!chosen_) return;
    if (*chosen_ == side) return draft.take_from(*side_, pending.size(*side_));
    Key& key = keys_[*chosen_];
    before_ = pending.size(key.bucket);
    Pending<T> part = view(pending, key, readiness_at_);
    Readiness inner = verdict_;
    inner.ready = readiness.ready;
    draft.front_is(key.bucket);
    if constexpr (QueryingEmitter<E, T>)
      key.emitter.query(part, draft, inner);
    else
      draft.take_front(std::min(inner.limit, part.size()));
    draft.set_key(keys_.key(*chosen_));
  }
  void on_emit(Draft<T>& draft, const Readiness& readiness) {
    left_ = std::exchange(chosen_, std::nullopt);
    if (*left_ == side) return;
    Key& key = keys_[*left_];
    key.in_flight = true;
    key.ready = false;
    if constexpr (EmitObserver<E, T>) {
      Readiness inner = verdict_;
      inner.ready = readiness.ready;
      key.emitter.on_emit(draft, inner);
    }
  }
  void ended(Window<T>& window, bool committed) {
    if (!window.has_key()) return;
    const std::uint32_t slot = keys_.find(window.template key<K>());
    if (slot == keys_.none) return;
    Key& key = keys_[slot];
    key.in_flight = false;
    change(slot);
    if constexpr (CommitObserver<E, T>)
      if (committed) key.emitter.on_commit(window);
    if constexpr (UndoObserver<E, T>)
      if (!committed) key.emitter.on_undo(window);
  }

 private:
  static constexpr bool has_state = !StatelessEmitter<E, T>;
  struct None {
    explicit None(const E&) noexcept {}
  };
  struct Key {  // there may be a million of them
    [[no_unique_address]] std::conditional_t<has_state, E, None> emitter;
    TimePoint timer = never;  // the latest of its timers that counts
    BucketId bucket{};
    std::uint32_t missing : 27 = 0;  // items until it is to be asked
    bool alive : 1 = true;
    bool changed : 1 = false;  // to be asked
    bool ready : 1 = false;    // in line
    bool in_flight : 1 = false;
    bool idle : 1 = false;  // in idle_
  };
  [[nodiscard]] auto& emitter_of(Key& key) noexcept {
    if constexpr (has_state)
      return key.emitter;
    else
      return std::as_const(prototype_);
  }
  struct Timer {
    TimePoint at;
    std::uint32_t slot;
  };
  static bool later(const Timer& a, const Timer& b) noexcept { return a.at > b.at; }
  static constexpr std::uint32_t side = ~std::uint32_t{0} - 1;  // chosen: the side output
  static constexpr std::size_t idle_kept = 64;

  Pending<T>& view(Pending<T>& pending, Key& key, TimePoint now) {
    part_.emplace(pending.part(key.bucket, now));
    return *part_;
  }

  // Items come.

  void take_in(Pending<T>& pending) {
    to_.clear();
    for (const T& item : pending.items()) to_.push_back(place(pending, item));
    pending.route_front(to_);
  }
  BucketId place(Pending<T>& pending, const T& item) {
    try {
      auto&& key = std::invoke(key_, item);
      if (last_ != keys_.none && keys_.key(last_) == key) {
        return take_one(last_);
      }
      const auto [slot, is_new] = keys_.insert(std::forward<decltype(key)>(key), [&] {
        return Key{.emitter = std::conditional_t<has_state, const E&, None>(prototype_),
                   .bucket = pending.open_bucket()};
      });
      last_ = slot;
      return take_one(slot);
    } catch (...) {
      if (!error_) error_ = std::current_exception();
      if (!side_) side_ = pending.open_bucket();
      return *side_;
    }
  }
  /// One more item of a key, whose emitter is asked when it wanted to be.
  BucketId take_one(std::uint32_t slot) {
    Key& key = keys_[slot];
    if (key.missing > 1)
      --key.missing;
    else
      change(slot);
    return key.bucket;
  }
  void change(std::uint32_t slot) {
    Key& key = keys_[slot];
    if (!key.changed) changed_.push_back(slot);
    key.changed = true;
  }

  // Keys are asked.

  void ring_timers(TimePoint now) {
    while (!timers_.empty() && timers_.front().at <= now) {
      const Timer timer = timers_.front();
      pop_timer();
      if (keys_[timer.slot].timer != timer.at) continue;
      keys_[timer.slot].timer = never;
      change(timer.slot);
    }
  }
  void pop_timer() {
    std::pop_heap(timers_.begin(), timers_.end(), later);
    timers_.pop_back();
  }
  void drop_stale_timers() {
    while (!timers_.empty() && keys_[timers_.front().slot].timer != timers_.front().at) pop_timer();
  }

  void ask(Pending<T>& pending, std::uint32_t slot, TimePoint now) {
    Key& key = keys_[slot];
    key.changed = false;
    if (!key.alive || key.in_flight) return;
    if (pending.size(key.bucket) == 0) return rest(slot);
    const Readiness verdict = emitter_of(key).window_ready(view(pending, key, now), now);
    if (verdict.error && !error_) error_ = verdict.error;
    if (!verdict.ready) return wait(pending, slot, verdict);
    if (!key.ready) ready_.push_back(slot);
    key.ready = true;
  }
  void wait(Pending<T>& pending, std::uint32_t slot, const Readiness& verdict) {
    Key& key = keys_[slot];
    const std::size_t there = pending.size(key.bucket);
    const std::size_t missing = verdict.at_items > there ? verdict.at_items - there : 1;
    constexpr std::uint32_t most = (1U << 27) - 1;  // beyond it, it is asked early
    key.missing = static_cast<std::uint32_t>(std::min<std::size_t>(missing, most)) & most;
    if (verdict.at >= key.timer) return;
    key.timer = verdict.at;
    timers_.push_back({verdict.at, slot});
    std::push_heap(timers_.begin(), timers_.end(), later);
  }
  /// The first key in line whose window is still ready.
  void choose(Pending<T>& pending, TimePoint now, Readiness& readiness) {
    readiness_at_ = now;
    chosen_.reset();
    if (side_ && pending.size(*side_) > 0) {
      chosen_ = side;
      readiness.ready = true;
      readiness.reason = Reason::unplaced;
      return;
    }
    for (; !ready_.empty(); ready_.pop_front()) {
      const std::uint32_t slot = ready_.front();
      Key& key = keys_[slot];
      if (!key.ready) continue;
      verdict_ = emitter_of(key).window_ready(view(pending, key, now), now);
      if (!verdict_.ready) {
        key.ready = false;
        wait(pending, slot, verdict_);
        continue;
      }
      chosen_ = slot;
      readiness.ready = true;
      readiness.reason = verdict_.reason;
      return;
    }
  }

  /// What left is gone; or it did not leave after all (a copy threw).
  void tidy(Pending<T>& pending) {
    if (!left_) return;
    const std::uint32_t slot = *std::exchange(left_, std::nullopt);
    if (slot == side) return;
    Key& key = keys_[slot];
    if (pending.size(key.bucket) == before_) key.in_flight = false;
    change(slot);
  }

  // Keys are forgotten.

  /// Looks at one key per step: its items may have been dropped while nobody asked.
  void notice_empty(Pending<T>& pending) {
    if (keys_.slots() == 0) return;
    noticed_ = noticed_ + 1 < keys_.slots() ? noticed_ + 1 : 0;
    const Key& key = keys_[noticed_];
    if (key.alive && !key.idle && !key.in_flight && !key.changed && pending.size(key.bucket) == 0)
      rest(noticed_);
  }
  void rest(std::uint32_t slot) {
    Key& key = keys_[slot];
    key.ready = false;
    if (!key.idle) idle_.push_back(slot);
    key.idle = true;
  }
  /// Some idle keys are kept, as many as there are busy ones, for they may come back.
  void forget_idle(Pending<T>& pending) {
    while (idle_.size() > idle_kept && 2 * idle_.size() > keys_.size()) {
      const std::uint32_t slot = idle_.front();
      idle_.pop_front();
      Key& key = keys_[slot];
      key.idle = false;
      if (key.in_flight || key.changed || pending.size(key.bucket) > 0) continue;
      pending.close_bucket(key.bucket);
      key.alive = false;
      key.timer = never;
      if (last_ == slot) last_ = keys_.none;
      keys_.erase(slot);
    }
  }

  KeyFn key_;
  E prototype_;
  std::shared_ptr<std::atomic<bool>> retuned_;  // a limit has changed: all keys are asked
  KeyMap<K, Key> keys_;
  std::uint32_t last_ = KeyMap<K, Key>::none;  // the key of the last item: mostly that of the next
  std::vector<BucketId> to_;                   // where the items in front go
  std::vector<std::uint32_t> changed_;
  std::vector<std::uint32_t> asking_;
  std::deque<std::uint32_t> ready_;
  std::deque<std::uint32_t> idle_;
  std::vector<Timer> timers_;  // a heap
  std::optional<BucketId> side_;
  std::exception_ptr error_;
  std::optional<Pending<T>> part_;

  std::optional<std::uint32_t> chosen_;
  std::optional<std::uint32_t> left_;
  Readiness verdict_;
  TimePoint readiness_at_{};
  std::size_t before_ = 0;
  std::uint32_t turn_ = 0;
  std::uint32_t noticed_ = 0;
};

}  // namespace microbatch::inline v0_1::detail
