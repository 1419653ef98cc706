#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <microbatch/io/file_source.hpp>
#include <microbatch/io/position_file.hpp>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "line_cutter.hpp"
#include "posix.hpp"
#include "rotation.hpp"

namespace microbatch::inline v0_1::detail {

/// Which file a committed offset means. Offsets of the lines ascend over all files that were read;
/// each file takes up where the one before it ended.
///
/// Threads: one at a time.
class FileHistory {
 public:
  /// Its lines' offsets are from `base` on.
  void begin(const FileId& id, std::int64_t base);
  /// The current file, better known, or the copy of it that is read from now on.
  void identify(const FileId& id) { entries_.back().id = id; }
  void commit(std::int64_t offset);
  [[nodiscard]] FilePosition position() const;
  [[nodiscard]] bool empty() const noexcept { return entries_.empty(); }

 private:
  struct Entry {
    FileId id;
    std::int64_t base;  // the offset of its first byte
  };

  std::deque<Entry> entries_;  // from the first one that is not committed wholly to the current one
  std::int64_t committed_ = 0;
};

/// What FileSource does; see there.
///
/// Threads: next() by one; the rest any.
class FileReader {
 public:
  explicit FileReader(FileSourceOptions options);
  FileReader(const FileReader&) = delete;
  FileReader& operator=(const FileReader&) = delete;
  ~FileReader();

  bool next(std::string& line, std::int64_t& offset, const std::stop_token& stop);
  void commit(std::int64_t offset);
  void set_running(bool running);
  [[nodiscard]] FileSourceStats stats() const;

 private:
  enum class Read : std::uint8_t { more, nothing, cut };

  void start();
  bool open_next();
  void open(const FileState& state, std::uint64_t offset);
  Read read_more();
  [[nodiscard]] bool was_cut() const;
  bool find_copy();
  [[nodiscard]] bool may_leave();
  [[nodiscard]] bool leave(std::string& line, std::int64_t& offset);
  void count_lines(std::uint64_t n);
  void pause(const std::stop_token& stop);
  void save_quietly() noexcept;
  void save();
  void notice(const std::string& text) const noexcept;

  const FileSourceOptions options_;
  std::optional<PositionFile> position_file_;

  // The reading thread's.
  Fd fd_;
  FileState current_;  // as it was opened, or as it was left
  LineCutter cutter_;
  std::string head_;        // its first bytes, as far as read, at most FileId::max_head
  std::uint64_t read_ = 0;  // up to where it has been read
  std::int64_t base_ = 0;   // offset of a line: base_ + cutter_.consumed()
  TimePoint grew_at_{};
  std::vector<char> buffer_;
  bool at_end_ = false;  // nothing more was there when it was last read
  bool any_opened_ = false;

  // Shared.
  mutable std::mutex mutex_;
  std::condition_variable_any wake_;
  FileHistory history_;
  FileSourceStats stats_;
  TimePoint saved_at_ = TimePoint::min();
  bool dirty_ = false;
  bool running_ = false;
  std::mutex saving_;
};

}  // namespace microbatch::inline v0_1::detail
