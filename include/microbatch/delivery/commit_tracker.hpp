#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <mutex>
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
  /// ascend.
  void expect(const Origin& origin, std::size_t items = 1) {
    std::lock_guard lock(mutex_);
    partitions_[origin.partition].expected.push_back({origin.offset, items});
  }
  /// The append was refused after all; it was the last one expected.
  void forget(const Origin& origin) {
    std::lock_guard lock(mutex_);
    partitions_[origin.partition].expected.pop_back();
  }

  /// Nothing more comes from it: it is forgotten when all that is expected has ended.
  void end(std::uint32_t id) {
    std::lock_guard lock(mutex_);
    const auto at = partitions_.find(id);
    if (at == partitions_.end()) return;
    at->second.ended = true;
    if (at->second.expected.empty()) partitions_.erase(at);
  }

  void done(const Origin& origin) {
    std::lock_guard lock(mutex_);
    auto& partition = find(origin.partition);
    auto& expected = partition.expected;
    const auto at =
        std::lower_bound(expected.begin(), expected.end(), origin.offset,
                         [](const Entry& e, std::int64_t offset) { return e.offset < offset; });
    if (at == expected.end() || at->offset != origin.offset) return;
    if (at->unfinished > 0 && --at->unfinished > 0) return;
    if (at == expected.begin() && !partition.touched) {
      partition.touched = true;
      touched_.push_back(partition.id);
    }
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
      if (partition.ended && partition.expected.empty()) partitions_.erase(id);
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

  Partition& find(std::uint32_t id) {
    auto& partition = partitions_[id];
    partition.id = id;
    return partition;
  }

  std::mutex mutex_;
  std::unordered_map<std::uint32_t, Partition> partitions_;
  std::vector<std::uint32_t> touched_;
};

}  // namespace microbatch::inline v0_1::detail
