#pragma once

#include <condition_variable>
#include <cstdint>
#include <microbatch/io/file_source.hpp>
#include <mutex>
#include <stop_token>
#include <string>
#include <vector>

#include "file_history.hpp"
#include "line_cutter.hpp"
#include "position_keeper.hpp"
#include "posix.hpp"
#include "rotation.hpp"

namespace microbatch::inline v0_1::detail {

/// What FileSource does; see there.
///
/// Threads: next() by one; the rest any.
class FileReader {
 public:
  explicit FileReader(FileSourceOptions options);
  FileReader(const FileReader&) = delete;
  FileReader& operator=(const FileReader&) = delete;

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
  void notice(const std::string& text) const noexcept;

  const FileSourceOptions options_;
  PositionKeeper keeper_;

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
};

}  // namespace microbatch::inline v0_1::detail
