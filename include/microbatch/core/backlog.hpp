#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "clock.hpp"
#include "first_in_line.hpp"
#include "item_buffer.hpp"
#include "mark.hpp"

namespace microbatch::inline v0_1 {

/// Names a bucket of Pending.
enum class BucketId : std::uint32_t {};

namespace detail {

/// The swept items that are in no window yet: the engine's side of Pending<T>, which is what an
/// emitter sees of it.
///
/// Threads: whoever holds the stream's token.
template <class T>
class Backlog {
 public:
  /// Called for an item whose own move constructor threw; see ItemBuffer.
  struct Lost {
    void* self;
    void (*call)(void* self, ItemSlots<T>& slots, std::size_t slot);
    void operator()(ItemSlots<T>& slots, std::size_t slot) const { call(self, slots, slot); }
  };

  explicit Backlog(Lost lost) : lost_(lost) {}

  [[nodiscard]] std::uint64_t end_position() const noexcept { return first + front.size(); }
  [[nodiscard]] std::size_t total() const noexcept { return front.size() + bucketed; }

  void take_in(ItemSlots<T>& from, std::size_t slot, std::size_t n) {
    const std::size_t before = front.size();
    if (front.append(from, slot, n, lost_)) renumber(before);
  }

  /// Moves the first n of the front part into an empty buffer; everything at once without touching
  /// an item.
  void take_front(std::size_t n, ItemBuffer<T>& out) {
    if (n == front.size()) {
      out.swap(front);
    } else {
      out.append(front, 0, n, lost_);
      front.forget_front(n);
    }
    first += n;
  }

  /// Appends the first n of a bucket to a buffer. All of them at once go without a touch, unless
  /// the bucket would be left with a buffer much larger (or smaller) than it needs.
  void take_from(BucketId id, std::size_t n, ItemBuffer<T>& out) {
    auto& from = bucket(id);
    n = std::min(n, from.size());
    if (n == from.size() && out.empty() && out.capacity() <= 2 * from.capacity() &&
        from.capacity() <= 2 * out.capacity()) {
      out.swap(from);
    } else if (n > 0) {
      out.append(from, 0, n, lost_);
      from.forget_front(n);
      note_front(id);
    }
    bucketed -= n;
    gone[static_cast<std::size_t>(id)] += n;
  }

  /// Moves the picked items, in the order of `picks`, and the unwanted ones into empty buffers.
  /// What stays takes new positions: an emitter that picks from the midst sees the rest again.
  void take_picks(std::span<const std::size_t> picks, ItemBuffer<T>& out,
                  std::span<const std::size_t> unwanted, ItemBuffer<T>& discarded) {
    gone_.assign(front.size(), false);
    move_out(picks, out);
    move_out(unwanted, discarded);
    for (std::size_t i = 0; i < gone_.size(); ++i)
      if (!gone_[i]) rest_.append(front, i, 1, lost_);
    const std::size_t before = front.size();
    front.forget_all();
    front.swap(rest_);
    renumber(before);
  }

  /// Moves the first items of the front part, the i-th to the end of bucket to[i].
  void route_front(std::span<const BucketId> to) {
    struct Routed {  // also where memory ran out on the way
      Backlog& backlog;
      std::size_t n = 0;
      ~Routed() {
        backlog.front.forget_front(n);
        backlog.first += n;
      }
    } routed{*this};
    while (routed.n < to.size()) {
      const BucketId id = to[routed.n];
      std::size_t run = 1;
      while (routed.n + run < to.size() && to[routed.n + run] == id) ++run;
      auto& into = bucket(id);
      const std::size_t before = into.size();
      if (run == 1) walk_ahead(to.subspan(routed.n));
      if (run > 1 || !into.append_bare(front, routed.n)) into.append(front, routed.n, run, lost_);
      if (before == 0) note_front(id);
      bucketed += into.size() - before;
      routed.n += run;
    }
  }
  void merge(BucketId from, BucketId into) {
    auto& source = bucket(from);
    auto& to = bucket(into);
    const std::size_t before = to.size() + source.size();
    if (!source.empty()) to.append(source, 0, source.size(), lost_);
    source.forget_all();
    note_front(into);
    bucketed -= before - to.size();
  }

  [[nodiscard]] BucketId open_bucket() {
    if (spare_ != none) {
      const auto id = static_cast<BucketId>(spare_);
      spare_ = std::exchange(gone[static_cast<std::size_t>(id)], 0);
      if (bucket(id).capacity() > small) --large_spares_;
      return id;
    }
    buckets.emplace_back();
    try {
      gone.push_back(0);
    } catch (...) {
      buckets.pop_back();
      throw;
    }
    return static_cast<BucketId>(buckets.size() - 1);
  }
  void close_bucket(BucketId id) noexcept {
    if (bucket(id).capacity() > small) {
      if (large_spares_ < most_large_spares)
        ++large_spares_;
      else
        bucket(id) = ItemBuffer<T>();
    }
    gone[static_cast<std::size_t>(id)] = std::exchange(spare_, static_cast<std::uint64_t>(id));
  }

  /// Empty, and so for ever: all item memory is given back.
  void let_go() noexcept {
    front = ItemBuffer<T>();
    rest_ = ItemBuffer<T>();
    for (ItemBuffer<T>& bucket : buckets) bucket = ItemBuffer<T>();
    large_spares_ = 0;
  }

  [[nodiscard]] ItemBuffer<T>& bucket(BucketId id) noexcept {
    return buckets[static_cast<std::size_t>(id)];
  }

  /// Where the oldest item stands first: by stamp; without stamps the first bucket that holds any,
  /// whose items have come through the front, else the front. Null when nothing is here.
  [[nodiscard]] ItemBuffer<T>* oldest() noexcept {
    ItemBuffer<T>* best = front.empty() ? nullptr : &front;
    if (bucketed > 0) {
      const std::size_t id =
          fronts_.ask(buckets.size(), [this](std::size_t i) { return first_of(i); });
      if (id < buckets.size() &&
          (best == nullptr || !stamped || first_stamp(buckets[id]) <= first_stamp(front)))
        best = &buckets[id];
    }
    return best;
  }
  /// Forgets the first item of what oldest() named; the caller settled and destroyed it.
  void forget_oldest(ItemBuffer<T>& buffer) noexcept {
    buffer.forget_front(1);
    if (&buffer == &front) {
      ++first;
    } else {
      const auto id = static_cast<std::size_t>(&buffer - buckets.data());
      --bucketed;
      ++gone[id];
      note_front(static_cast<BucketId>(id));
    }
  }

  ItemBuffer<T> front;
  std::vector<ItemBuffer<T>> buckets;
  std::vector<std::uint64_t> gone;  ///< by bucket: the position of its first item; see spare_
  std::size_t bucketed = 0;
  std::uint64_t first = 0;       ///< position of the front's first item
  std::uint64_t renumbered = 0;  ///< how often what stayed took new positions
  TimePoint complete_before = TimePoint::min();
  TimePoint next_arrival = never;
  TimePoint noticed_at = TimePoint::min();
  std::size_t free_workers = 0;
  std::vector<PlacedMark> marks;  ///< by position
  bool keeps_marks = false;       ///< somebody takes them
  bool stamped = false;

 private:
  // A closed bucket keeps its memory for the next one if that is little; a few, if it is much.
  static constexpr std::uint64_t none = ~std::uint64_t{0};
  static constexpr std::size_t small = 16;
  static constexpr std::size_t most_large_spares = 4;

  /// The items in front no longer stand where their positions said: give them fresh ones.
  void renumber(std::size_t positions_used) noexcept {
    first += positions_used;
    ++renumbered;
    for (PlacedMark& placed : marks) placed.position = end_position();  // later, never earlier
  }
  /// Of many buckets few are in a cache: fetches the end of those whose turn comes soon.
  void walk_ahead(std::span<const BucketId> to) noexcept {
    constexpr std::size_t step = 6;
    if (to.size() <= 3 * step) return;
    __builtin_prefetch(&bucket(to[3 * step]));
    bucket(to[2 * step]).fetch_slots();
    bucket(to[step]).fetch_end();
  }
  /// The stamp of a bucket's first item (without stamps, all are alike); never where it is empty.
  [[nodiscard]] TimePoint first_of(std::size_t i) const noexcept {
    return buckets[i].empty() ? never : first_stamp(buckets[i]);
  }
  void note_front(BucketId id) {
    const TimePoint front_stamp = first_of(static_cast<std::size_t>(id));
    if (front_stamp != never) fronts_.note(front_stamp, static_cast<std::uint32_t>(id));
  }
  [[nodiscard]] static TimePoint first_stamp(const ItemBuffer<T>& buffer) noexcept {
    return buffer.slots().stamp(buffer.slot(0));
  }

  void move_out(std::span<const std::size_t> indices, ItemBuffer<T>& out) {
    for (const std::size_t i : indices) {
      out.append(front, i, 1, lost_);
      gone_[i] = true;
    }
  }

  Lost lost_;
  FirstInLine fronts_;
  std::uint64_t spare_ = none;  // a closed bucket; `gone` tells the one that was closed before it
  std::size_t large_spares_ = 0;
  std::vector<bool> gone_;
  ItemBuffer<T> rest_;
};

}  // namespace detail
}  // namespace microbatch::inline v0_1
