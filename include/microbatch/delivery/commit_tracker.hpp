#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <iterator>
#include <mutex>
#include <span>
#include <unordered_map>
#include <vector>

#include "../core/item.hpp"

namespace microbatch::inline v0_1::detail {

/// Turns items that end in any order into the contiguous prefix that has ended, per partition: what
/// may be committed to a source. An item that was handed back or abandoned stops its partition
/// there.
///
/// Threads: any.
class CommitTracker {
 public:
  /// The item, or so many that were made of it, is about to be appended. Offsets of a partition
  /// ascend, mostly.
  void expect(const Origin& origin, std::size_t items = 1) {
    std::lock_guard lock(mutex_);
    find(origin.partition).expected.push_back({origin.offset, items});
  }
  void expect(std::span<const Origin> origins) {
    std::lock_guard lock(mutex_);
    std::size_t n = 0;
    try {
      for (; n < origins.size(); ++n)
        find(origins[n].partition).expected.push_back({origins[n].offset, 1});
    } catch (...) {
      forget_last(origins.first(n));
      throw;
    }
  }
  /// The append was refused after all; it was the last one expected.
  void forget(const Origin& origin) { forget(std::span(&origin, 1)); }
  /// They were the last ones expected, in this order.
  void forget(std::span<const Origin> origins) noexcept {
    if (origins.empty()) return;
    std::lock_guard lock(mutex_);
    forget_last(origins);
  }

  /// Nothing more comes from it: it is forgotten when all that is expected has ended.
  void end(std::uint32_t id) {
    std::lock_guard lock(mutex_);
    const auto at = partitions_.find(id);
    if (at == partitions_.end()) return;
    at->second.ended = true;
    if (at->second.expected.empty()) erase(id);
  }

  void done(const Origin& origin) { (void)done(std::span(&origin, 1)); }
  /// Those that are of no source are passed over. Whether there was any other.
  bool done(std::span<const Origin> origins) {
    std::lock_guard lock(mutex_);
    bool any = false;
    for (const Origin& origin : origins) {
      if (origin.offset < 0) continue;
      any = true;
      end_one(find(origin.partition), origin.offset);
    }
    return any;
  }

  /// Appends the prefixes that have grown since the last call.
  void collect(std::vector<Origin>& commits) {
    std::lock_guard lock(mutex_);
    for (const std::uint32_t id : touched_) {
      auto& partition = find(id);
      partition.touched = false;
      Origin last{.partition = id, .offset = -1};
      while (!partition.expected.empty() && partition.expected.front().unfinished == 0) {
        last.offset = partition.expected.front().offset;
        partition.expected.pop_front();
      }
      if (last.offset >= 0) commits.push_back(last);
      if (partition.ended && partition.expected.empty()) erase(id);
    }
    touched_.clear();
  }

 private:
  struct Entry {
    std::int64_t offset;
    std::size_t unfinished;
  };
  struct Partition {
    std::uint32_t id = 0;
    std::deque<Entry> expected{};
    bool touched = false;
    bool ended = false;
  };

  void forget_last(std::span<const Origin> origins) noexcept {
    for (const Origin& origin : origins) find(origin.partition).expected.pop_back();
  }

  void end_one(Partition& partition, std::int64_t offset) {
    auto& expected = partition.expected;
    auto at = expected.end();
    // Mostly the offsets are consecutive.
    const auto near = expected.empty() ? -1 : offset - expected.front().offset;
    if (near >= 0 && near < std::ssize(expected) &&
        expected[static_cast<std::size_t>(near)].offset == offset)
      at = expected.begin() + near;
    else
      at = std::lower_bound(expected.begin(), expected.end(), offset,
                            [](const Entry& e, std::int64_t o) { return e.offset < o; });
    // Offsets may have gone back: the partition was made anew, or some came twice.
    if (at == expected.end() || at->offset != offset || at->unfinished == 0)
      at = std::find_if(expected.begin(), expected.end(),
                        [&](const Entry& e) { return e.offset == offset && e.unfinished > 0; });
    if (at == expected.end() || --at->unfinished > 0) return;
    if (at == expected.begin() && !partition.touched) {
      touched_.push_back(partition.id);
      partition.touched = true;
    }
  }

  Partition& find(std::uint32_t id) {
    if (last_ != nullptr && last_->id == id) return *last_;
    last_ = &partitions_[id];
    last_->id = id;
    return *last_;
  }
  void erase(std::uint32_t id) {
    last_ = nullptr;
    partitions_.erase(id);
  }

  std::mutex mutex_;
  std::unordered_map<std::uint32_t, Partition> partitions_;  // its elements stay where they are
  Partition* last_ = nullptr;                                // the one that was asked for last
  std::vector<std::uint32_t> touched_;
};

}  // namespace microbatch::inline v0_1::detail
