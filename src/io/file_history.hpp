#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>

#include "rotation.hpp"

namespace microbatch::inline v0_1::detail {

/// Which file a committed offset means. Offsets of the lines ascend over all files that were read;
/// each file takes up where the one before it ended.
///
/// Threads: one at a time.
class FileHistory {
 public:
  /// Its lines' offsets are from `base` on.
  void begin(const FileId& id, std::int64_t base) {
    entries_.push_back({id, base});
    commit(committed_);
  }
  /// The current file, better known, or the copy of it that is read from now on.
  void identify(const FileId& id) { entries_.back().id = id; }
  void commit(std::int64_t offset) {
    committed_ = std::max(committed_, offset);
    while (entries_.size() > 1 && committed_ >= entries_[1].base) entries_.pop_front();
  }
  [[nodiscard]] FilePosition position() const {
    const Entry& entry = entries_.front();
    return {.file = entry.id, .offset = static_cast<std::uint64_t>(committed_ - entry.base)};
  }

 private:
  struct Entry {
    FileId id;
    std::int64_t base;  // the offset of its first byte
  };

  std::deque<Entry> entries_;  // from the first one that is not committed wholly to the current one
  std::int64_t committed_ = 0;
};

}  // namespace microbatch::inline v0_1::detail
