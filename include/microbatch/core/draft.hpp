#pragma once

#include <algorithm>
#include <cstddef>
#include <optional>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "backlog.hpp"
#include "clock.hpp"
#include "errors.hpp"

namespace microbatch {

/// What an emitter's query() fills: which pending items leave, in which order, and the bounds of
/// the window. One draft takes from the front, or picks from it, or takes from one bucket.
///
/// Errors: UsageError for an index that is not pending or is named twice; nothing has left then.
template <class T>
class Draft {
 public:
  /// The first n of the front part.
  void take_front(std::size_t n) { front_ += checked(n, front_size_ - front_); }
  /// The i-th of the front part; the window holds the picks in the order of these calls.
  void take(std::size_t i) { name(i, picks_); }
  /// The first n of a bucket.
  void take_from(BucketId id, std::size_t n) {
    bucket_ = id;
    from_bucket_ = checked(n, bucket_size(id));
  }
  /// Drops the i-th of the front part, counted under DropCause::discarded.
  void discard(std::size_t i) { name(i, discarded_); }

  /// Half-open bounds; where they are not set, from the window before until now.
  void set_bounds(TimePoint opened, TimePoint closed) { bounds_ = {opened, closed}; }

  [[nodiscard]] std::size_t size() const noexcept { return front_ + picks_.size() + from_bucket_; }
  [[nodiscard]] bool empty() const noexcept { return size() == 0; }
  [[nodiscard]] bool discards() const noexcept { return !discarded_.empty(); }
  [[nodiscard]] std::optional<std::pair<TimePoint, TimePoint>> bounds() const noexcept {
    return bounds_;
  }

  // For the engine and for tests of emitters.

  void begin(detail::Backlog<T>& backlog) {
    backlog_ = &backlog;
    front_size_ = backlog.front.size();
    front_ = from_bucket_ = 0;
    picks_.clear();
    discarded_.clear();
    bounds_.reset();
  }

  /// Moves everything named into `out`, the discarded items into `discarded`.
  void carry_out(detail::ItemBuffer<T>& out, detail::ItemBuffer<T>& discarded) {
    if (picks_.empty() && discarded_.empty()) {
      if (from_bucket_ > 0 && front_ > 0)
        throw UsageError("Draft: it takes from the front or from a bucket, not from both");
      if (from_bucket_ > 0)
        backlog_->take_from(bucket_, from_bucket_, out);
      else if (front_ > 0)
        backlog_->take_front(front_, out);
      return;
    }
    if (from_bucket_ > 0)
      throw UsageError("Draft: it picks from the front or takes from a bucket, not both");
    for (std::size_t i = front_; i-- > 0;) picks_.insert(picks_.begin(), i);
    require_distinct();
    backlog_->take_picks(picks_, out, discarded_, discarded);
  }

 private:
  [[nodiscard]] std::size_t bucket_size(BucketId id) const { return backlog_->bucket(id).size(); }

  static std::size_t checked(std::size_t n, std::size_t there) {
    if (n > there)
      throw UsageError(fmt::format("Draft: {} items wanted where {} are pending", n, there));
    return n;
  }

  void name(std::size_t i, std::vector<std::size_t>& list) {
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
  BucketId bucket_{};
  std::size_t from_bucket_ = 0;
  std::vector<std::size_t> picks_;
  std::vector<std::size_t> discarded_;
  std::vector<std::size_t> sorted_;
  std::optional<std::pair<TimePoint, TimePoint>> bounds_;
};

}  // namespace microbatch
