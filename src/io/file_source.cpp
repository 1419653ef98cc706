#include <fmt/format.h>

#include <filesystem>
#include <microbatch/core/errors.hpp>
#include <microbatch/io/file_source.hpp>
#include <system_error>
#include <utility>

#include "file_reader.hpp"

namespace microbatch::inline v0_1 {

void FileSourceOptions::check() const {
  if (file.filename().empty())
    throw ConfigError(
        fmt::format("FileSourceOptions.file must be a file's name, got '{}'", file.string()));
  std::error_code error;
  const auto status = std::filesystem::status(file, error);
  if (std::filesystem::exists(status) && !std::filesystem::is_regular_file(status))
    throw ConfigError(fmt::format(
        "FileSourceOptions.file must be a regular file, got {} (InputSource reads anything else)",
        file.string()));
  if (!position.empty() && position == file)
    throw ConfigError(
        "FileSourceOptions.position must be another file than FileSourceOptions.file");
  if (max_line_bytes < 1)
    throw ConfigError("FileSourceOptions.max_line_bytes must be at least 1, got 0");
  if (poll_interval < std::chrono::milliseconds(1))
    throw ConfigError(fmt::format(
        "FileSourceOptions.poll_interval must be at least 1 ms, got {} ns", poll_interval.count()));
  if (rotation_grace < Duration::zero())
    throw ConfigError(
        fmt::format("FileSourceOptions.rotation_grace must not be negative, got {} ns",
                    rotation_grace.count()));
  if (save_every < Duration::zero())
    throw ConfigError(fmt::format("FileSourceOptions.save_every must not be negative, got {} ns",
                                  save_every.count()));
}

FileSource::FileSource(FileSourceOptions options)
    : reader_(std::make_unique<detail::FileReader>(std::move(options))) {}
FileSource::FileSource(FileSource&&) noexcept = default;
FileSource::~FileSource() = default;

bool FileSource::next(std::string& line, std::int64_t& offset, const std::stop_token& stop) {
  return reader_->next(line, offset, stop);
}
void FileSource::commit(const Origin& last) { reader_->commit(last.offset); }
FileSourceStats FileSource::stats() const { return reader_->stats(); }

FileSource::Running::Running(FileSource& source) : source_(source) {
  source_.reader_->set_running(true);
}
FileSource::Running::~Running() { source_.reader_->set_running(false); }

}  // namespace microbatch::inline v0_1
