#include "file_reader.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <microbatch/core/errors.hpp>
#include <microbatch/durable/checksum.hpp>
#include <system_error>
#include <utility>

namespace microbatch::inline v0_1::detail {

FileReader::FileReader(FileSourceOptions options)
    : options_((options.check(), std::move(options))),
      keeper_(options_.position, options_.save_every,
              [this] {
                const std::lock_guard lock(mutex_);
                return history_.position().encode();
              }),
      cutter_(options_.max_line_bytes),
      buffer_(65'536) {}

bool FileReader::next(std::string& line, std::int64_t& offset, const std::stop_token& stop) {
  if (!any_opened_) start();
  while (!stop.stop_requested()) {
    if (!fd_ && !open_next()) {
      if (!options_.follow) return false;
      pause(stop);
      continue;
    }
    if (cutter_.take(line)) {
      offset = base_ + static_cast<std::int64_t>(cutter_.consumed());
      count_lines(1);
      return true;
    }
    const Read read = read_more();
    if (read == Read::more || (read == Read::cut && find_copy())) continue;
    if (read == Read::nothing && !may_leave()) {
      pause(stop);
      continue;
    }
    if (leave(line, offset)) return true;
  }
  return false;
}

/// Opens the file that the kept position belongs to, or else leaves it to open_next().
void FileReader::start() {
  const auto text = keeper_.load();
  if (!text) return;
  FilePosition position;
  try {
    position = FilePosition::decode(*text);
  } catch (const PositionError& error) {
    throw PositionError(fmt::format("position file {}: {}. Remove it to read from the beginning",
                                    options_.position.string(), error.what()));
  }
  if (const auto state = find_again(options_.file, position)) {
    open(*state, position.offset);
  } else {
    notice(fmt::format(
        "{}: the file of the kept position (inode {}, offset {}) is nowhere to be found; lines "
        "behind it may have been lost; reading from the beginning",
        options_.file.string(), position.file.inode, position.offset));
    const std::lock_guard lock(mutex_);
    ++stats_.gaps;
    any_opened_ = true;  // what is there now is new: from its beginning
  }
}

bool FileReader::open_next() {
  if (any_opened_ && !options_.follow && current_.path == options_.file) return false;
  // Names move while we look; the file that is opened must be the one that was found.
  for (;;) {
    const auto state =
        current_.path.empty() ? state_of(options_.file) : find_next(options_.file, current_);
    if (!state) {
      if (!options_.follow && current_.path.empty())
        throw_errno("cannot open", options_.file, ENOENT);
      return false;
    }
    try {
      open(*state, !any_opened_ && options_.from_end ? state->size : 0);
    } catch (const std::system_error& error) {
      if (error.code() == std::errc::no_such_file_or_directory) continue;
      throw;
    }
    return true;
  }
}

void FileReader::open(const FileState& state, std::uint64_t offset) {
  Fd fd = open_file(state.path, O_RDONLY);
  if (!fd) throw_errno("cannot open", state.path);
  FileState opened = state_of(fd, state.path);
  if (!opened.id.same_place(state.id)) throw_errno("moved away:", state.path, ENOENT);
  if (offset > 0 && ::lseek(fd.get(), static_cast<::off_t>(offset), SEEK_SET) < 0)
    throw_errno("cannot seek in", state.path);
  std::string head(std::min<std::uint64_t>(offset, FileId::max_head), '\0');
  if (::pread(fd.get(), head.data(), head.size(), 0) != static_cast<::ssize_t>(head.size()))
    throw_errno("cannot read", state.path);

  const auto ended_at = base_ + static_cast<std::int64_t>(cutter_.consumed());
  const bool first = !std::exchange(any_opened_, true) || current_.path.empty();
  opened.id.head_bytes = head.size();
  opened.id.head = Checksum::of(head);
  fd_ = std::move(fd);
  head_ = std::move(head);
  read_ = offset;
  cutter_.reset();
  base_ = ended_at + static_cast<std::int64_t>(offset);
  at_end_ = false;
  grew_at_ = steady_clock().now();
  current_ = std::move(opened);

  const std::lock_guard lock(mutex_);
  history_.begin(current_.id, ended_at);
  if (first)
    history_.commit(base_);
  else
    ++stats_.rotations;
}

FileReader::Read FileReader::read_more() {
  if (at_end_ && was_cut()) return Read::cut;
  ::ssize_t n = 0;
  do {
    n = ::read(fd_.get(), buffer_.data(), buffer_.size());
  } while (n < 0 && errno == EINTR);
  if (n < 0) throw_errno("cannot read", current_.path);
  at_end_ = n == 0;
  if (n == 0) return Read::nothing;
  const std::string_view bytes(buffer_.data(), static_cast<std::size_t>(n));
  if (head_.size() < FileId::max_head && head_.size() == read_) {
    head_.append(bytes.substr(0, FileId::max_head - head_.size()));
    current_.id.head_bytes = head_.size();
    current_.id.head = Checksum::of(head_);
    const std::lock_guard lock(mutex_);
    history_.identify(current_.id);
  }
  read_ += bytes.size();
  grew_at_ = steady_clock().now();
  cutter_.feed(bytes);
  return Read::more;
}

bool FileReader::was_cut() const {
  return state_of(fd_, current_.path).size < read_ || !begins_as(fd_, current_.id);
}

/// The file was cut while we read it: its copy holds the rest, if there is one.
bool FileReader::find_copy() {
  const auto copy = find_again(options_.file, {.file = current_.id, .offset = read_});
  Fd fd;
  if (copy && current_.id.head_bytes > 0) fd = open_file(copy->path, O_RDONLY);
  if (!fd || ::lseek(fd.get(), static_cast<::off_t>(read_), SEEK_SET) < 0) {
    notice(
        fmt::format("{}: cut at {} bytes or less, and no copy of it was found; lines behind "
                    "that may have been lost",
                    current_.path.string(), read_));
    const std::lock_guard lock(mutex_);
    ++stats_.gaps;
    return false;
  }
  const FileId known = current_.id;
  current_ = *copy;
  current_.id.head_bytes = known.head_bytes;
  current_.id.head = known.head;
  fd_ = std::move(fd);
  at_end_ = false;
  const std::lock_guard lock(mutex_);
  history_.identify(current_.id);
  ++stats_.rotations;
  return true;
}

/// At the end of a file: there is another one to read, and nothing more will come to this one.
bool FileReader::may_leave() {
  if (!options_.follow) return true;
  current_.written_at = state_of(fd_, current_.path).written_at;
  const auto next = find_next(options_.file, current_);
  if (!next || next->id.same_place(current_.id)) return false;
  return next->path != options_.file || steady_clock().now() - grew_at_ >= options_.rotation_grace;
}

/// True where what stood behind the last newline was a line.
bool FileReader::leave(std::string& line, std::int64_t& offset) {
  current_.written_at = state_of(fd_, current_.path).written_at;
  const bool has_line = cutter_.take_rest(line);
  offset = base_ + static_cast<std::int64_t>(cutter_.consumed());
  fd_ = Fd();
  count_lines(has_line ? 1 : 0);
  return has_line;
}

void FileReader::count_lines(std::uint64_t n) {
  const std::lock_guard lock(mutex_);
  stats_.lines += n;
  stats_.too_long = cutter_.too_long();
}

void FileReader::pause(const std::stop_token& stop) {
  try {
    keeper_.save_if_due();
  } catch (const std::exception& error) {  // it stays to be saved
    notice(error.what());
  }
  std::unique_lock lock(mutex_);
  wake_.wait_for(lock, stop, options_.poll_interval, [] { return false; });
}

void FileReader::commit(std::int64_t offset) {
  {
    const std::lock_guard lock(mutex_);
    history_.commit(offset);
  }
  keeper_.moved();
}

void FileReader::set_running(bool running) {
  try {
    keeper_.set_running(running);
  } catch (const std::exception& error) {  // it stays to be saved
    notice(error.what());
  }
}

FileSourceStats FileReader::stats() const {
  const std::lock_guard lock(mutex_);
  return stats_;
}

void FileReader::notice(const std::string& text) const noexcept {
  try {
    if (options_.on_notice) options_.on_notice(text);
  } catch (...) {  // there is nobody left to tell
  }
}

}  // namespace microbatch::inline v0_1::detail
