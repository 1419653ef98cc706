#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <optional>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "any_key.hpp"
#include "backlog.hpp"
#include "clock.hpp"
#include "errors.hpp"
#include "event_time.hpp"

namespace microbatch::inline v0_1 {

/// What an emitter's query() fills: which pending items leave, in which order, and the bounds of
/// the window. One draft takes from the front, or picks from it, or takes from buckets. Windows
/// that overlap take what no later window wants, and copy the rest, which stays pending.
///
/// Errors: UsageError for an index that is not pending or is named twice; nothing has left then.
template <class T>
class Draft {
 public:
  /// The first n of the front part.
  void take_front(std::size_t n) {
    if (whole_) return take_from(*whole_, n);
    front_ += checked(n, front_size_ - front_);
  }
  /// The i-th of the front part; the window holds the picks in the order of these calls.
  void take(std::size_t i) { name(i, picks_); }
  /// The first n of a bucket; may be called for several of them.
  void take_from(BucketId id, std::size_t n) { add({id, checked(n, bucket_size(id)), false}); }

  /// Behind everything that is taken: copies of the n items of the front part that then stand
  /// first. They stay pending.
  void copy_front(std::size_t n) {
    require_copyable();
    if (whole_) return copy_from(*whole_, n);
    copied_front_ += checked(n, front_size_ - front_ - copied_front_);
  }
  /// The same of a bucket.
  void copy_from(BucketId id, std::size_t n) {
    require_copyable();
    add({id, checked(n, bucket_size(id) - taken_from(id)), true});
  }

  /// Drops the i-th of the front part, counted under DropCause::discarded.
  void discard(std::size_t i) { name(i, discarded_); }

  /// Half-open bounds; where they are not set, from the window before until now.
  void set_bounds(TimePoint opened, TimePoint closed) { bounds_ = {opened, closed}; }
  /// Window::event_bounds() and Window::key().
  void set_event_bounds(const EventBounds& bounds) { event_bounds_ = bounds; }
  template <class K>
  void set_key(const K& key) {
    key_.set(key);
  }

  /// Copies included.
  [[nodiscard]] std::size_t size() const noexcept {
    return front_ + copied_front_ + picks_.size() + from_buckets_;
  }
  [[nodiscard]] bool empty() const noexcept { return size() == 0; }
  [[nodiscard]] bool discards() const noexcept { return !discarded_.empty(); }
  [[nodiscard]] std::optional<std::pair<TimePoint, TimePoint>> bounds() const noexcept {
    return bounds_;
  }
  [[nodiscard]] const std::optional<EventBounds>& event_bounds() const noexcept {
    return event_bounds_;
  }

  /// From here on, the front part is this bucket: for an emitter that asks another one.
  void front_is(BucketId id) noexcept { whole_ = id; }

  // For the engine and for tests of emitters.

  void begin(detail::Backlog<T>& backlog) {
    backlog_ = &backlog;
    front_size_ = backlog.front.size();
    front_ = copied_front_ = from_buckets_ = 0;
    whole_.reset();
    pieces_.clear();
    picks_.clear();
    discarded_.clear();
    bounds_.reset();
    event_bounds_.reset();
    key_.reset();
  }
  [[nodiscard]] detail::AnyKey& key() noexcept { return key_; }

  /// Moves everything named into `out`, the discarded items into `discarded`. How many of those in
  /// `out`, at its end, are copies.
  std::size_t carry_out(detail::ItemBuffer<T>& out, detail::ItemBuffer<T>& discarded) {
    if (!picks_.empty() || !discarded_.empty()) {
      if (!pieces_.empty() || copied_front_ > 0)
        throw UsageError(
            "Draft: it picks from the front, or takes from buckets or copies, not both");
      for (std::size_t i = front_; i-- > 0;) picks_.insert(picks_.begin(), i);
      require_distinct();
      backlog_->take_picks(picks_, out, discarded_, discarded);
      return 0;
    }
    if (!pieces_.empty() && (front_ > 0 || copied_front_ > 0))
      throw UsageError("Draft: it takes from the front or from buckets, not from both");
    make_copies();  // a copy that throws has left everything where it was
    if (front_ > 0) backlog_->take_front(front_, out);
    for (const Piece& piece : pieces_)
      if (!piece.copied) backlog_->take_from(piece.id, piece.n, out);
    const std::size_t owned = out.size();
    if (!copies_.empty()) {
      out.append(copies_, 0, copies_.size(), [](auto&, std::size_t) {});
      copies_.forget_all();
    }
    return out.size() - owned;
  }

 private:
  struct Piece {
    BucketId id;
    std::size_t n;
    bool copied;
  };

  static consteval void require_copyable() {
    static_assert(std::copy_constructible<T>,
                  "microbatch: windows that overlap copy the items that they share; this item type "
                  "cannot be copied");
  }

  [[nodiscard]] std::size_t bucket_size(BucketId id) const { return backlog_->bucket(id).size(); }
  [[nodiscard]] std::size_t taken_from(BucketId id) const noexcept {
    std::size_t n = 0;
    for (const Piece& piece : pieces_)
      if (piece.id == id) n += piece.n;
    return n;
  }
  void add(const Piece& piece) {
    if (!piece.copied && !pieces_.empty() && pieces_.back().copied)
      throw UsageError("Draft: what is taken stands before what is copied");
    pieces_.push_back(piece);
    from_buckets_ += piece.n;
  }

  void make_copies() {
    if constexpr (std::copy_constructible<T>) {
      copies_.clear();
      const auto lost = [](auto&, std::size_t) {};
      copies_.append_copies(backlog_->front, front_, copied_front_, lost);
      for (const Piece& piece : pieces_) {
        if (!piece.copied) continue;
        std::size_t from = 0;
        for (const Piece& other : pieces_)
          if (&other < &piece && other.id == piece.id) from += other.n;
        copies_.append_copies(backlog_->bucket(piece.id), from, piece.n, lost);
      }
    }
  }

  static std::size_t checked(std::size_t n, std::size_t there) {
    if (n > there)
      throw UsageError(fmt::format("Draft: {} items wanted where {} are pending", n, there));
    return n;
  }

  void name(std::size_t i, std::vector<std::size_t>& list) {
    if (whole_) throw UsageError("Draft: a part of an emitter by key cannot pick items");
    if (i >= front_size_)
      throw UsageError(fmt::format("Draft: index {} where {} items are pending", i, front_size_));
    list.push_back(i);
  }

  void require_distinct() {
    sorted_.assign(picks_.begin(), picks_.end());
    sorted_.insert(sorted_.end(), discarded_.begin(), discarded_.end());
    std::sort(sorted_.begin(), sorted_.end());
    if (std::adjacent_find(sorted_.begin(), sorted_.end()) != sorted_.end())
      throw UsageError("Draft: an item is named twice");
  }

  detail::Backlog<T>* backlog_ = nullptr;
  std::size_t front_size_ = 0;
  std::size_t front_ = 0;
  std::size_t copied_front_ = 0;
  std::size_t from_buckets_ = 0;
  std::optional<BucketId> whole_;
  std::vector<Piece> pieces_;
  std::vector<std::size_t> picks_;
  std::vector<std::size_t> discarded_;
  std::vector<std::size_t> sorted_;
  detail::ItemBuffer<T> copies_;
  std::optional<std::pair<TimePoint, TimePoint>> bounds_;
  std::optional<EventBounds> event_bounds_;
  detail::AnyKey key_;
};

}  // namespace microbatch::inline v0_1
