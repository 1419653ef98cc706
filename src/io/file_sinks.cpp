#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <microbatch/core/errors.hpp>
#include <microbatch/io/file_sinks.hpp>
#include <microbatch/io/output_sink.hpp>
#include <system_error>

#include "posix.hpp"

namespace microbatch::inline v0_1::detail {

namespace {

[[noreturn]] void fail(std::string_view what, const std::filesystem::path& file, int error) {
  throw TransientError(
      fmt::format("{} {}: {}", what, file.string(), std::generic_category().message(error)));
}

}  // namespace

struct AppendFile::State {
  std::filesystem::path file;
  Fd fd;
  bool sync = true;
  std::string broken{};  // why nothing more is written
};

AppendFile::AppendFile(std::filesystem::path file, bool sync)
    : state_(std::make_unique<State>(State{.file = std::move(file), .fd = {}, .sync = sync})) {
  state_->fd = open_file(state_->file, O_WRONLY | O_CREAT | O_APPEND, 0666);
  if (!state_->fd) throw_errno("cannot append to", state_->file);
  if (sync) sync_folder_of(state_->file);
}
AppendFile::AppendFile(AppendFile&&) noexcept = default;
AppendFile::~AppendFile() = default;

void AppendFile::put(std::string_view text) {
  State& s = *state_;
  if (!s.broken.empty()) throw TransientError(s.broken);
  if (text.empty()) return;
  const ::off_t end = ::lseek(s.fd.get(), 0, SEEK_END);
  if (!write_all(s.fd.get(), text)) {
    const int error = errno;
    // What was written of the window must not stay: it will be put again.
    if (end < 0 || ::ftruncate(s.fd.get(), end) != 0)
      s.broken = fmt::format("{} holds a part of a window and could not be cut back ({})",
                             s.file.string(), std::generic_category().message(errno));
    fail("cannot append to", s.file, error);
  }
  if (s.sync && ::fdatasync(s.fd.get()) != 0) {
    const int error = errno;
    s.broken = fmt::format(
        "syncing {} failed ({}); what the disk holds of it is unknown, so nothing more is written",
        s.file.string(), std::generic_category().message(error));
    throw TransientError(s.broken);
  }
}

FolderOfFiles::FolderOfFiles(std::filesystem::path folder, std::string prefix, std::string suffix)
    : folder_(std::move(folder)), prefix_(std::move(prefix)), suffix_(std::move(suffix)) {
  for (const auto& part : {prefix_, suffix_})
    if (part.find('/') != std::string::npos || part.find('\0') != std::string::npos)
      throw ConfigError(fmt::format(
          "FolderSinkOptions: prefix and suffix must not hold a '/' or a null byte, got '{}'",
          part));
  if (prefix_.starts_with('.'))
    throw ConfigError(
        "FolderSinkOptions.prefix must not begin with a dot: such files are in the making");
  std::error_code error;
  if (!std::filesystem::is_directory(folder_, error))
    throw ConfigError(
        fmt::format("FolderSinkOptions.folder must be a folder, got '{}'", folder_.string()));
  for (const auto& entry : std::filesystem::directory_iterator(folder_)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with(prefix_) || !name.ends_with(suffix_)) continue;
    if (name.size() < prefix_.size() + suffix_.size()) continue;
    std::uint64_t number = 0;
    const char* const begin = name.data() + prefix_.size();
    const char* const end = name.data() + name.size() - suffix_.size();
    const auto read = std::from_chars(begin, end, number);
    if (read.ec == std::errc() && read.ptr == end) next_ = std::max(next_, number + 1);
  }
}

std::filesystem::path FolderOfFiles::name_of(std::uint64_t number) const {
  return folder_ / fmt::format("{}{:010}{}", prefix_, number, suffix_);
}

void FolderOfFiles::put(std::string_view text) {
  if (text.empty()) return;
  try {
    replace_file(name_of(next_), text, 0666);
  } catch (const std::system_error& error) {
    throw TransientError(error.what());
  }
  ++next_;
}

void put_to_descriptor(int descriptor, std::string_view text) {
  if (!write_all(descriptor, text))
    throw std::system_error(errno, std::generic_category(),
                            fmt::format("cannot write to descriptor {}", descriptor));
}

}  // namespace microbatch::inline v0_1::detail
