#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "posix.hpp"

namespace microbatch::inline v0_1::detail {

/// What a file is known by: where it lies on the disk, and how it begins.
struct FileId {
  static constexpr std::size_t max_head = 1024;

  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  std::size_t head_bytes = 0;  ///< at most max_head
  std::uint64_t head = 0;      ///< Checksum of so many first bytes

  [[nodiscard]] bool same_place(const FileId& other) const noexcept {
    return device == other.device && inode == other.inode;
  }
};

/// How far a file has been read, as a position file keeps it.
struct FilePosition {
  FileId file;
  std::uint64_t offset = 0;

  [[nodiscard]] std::string encode() const;
  [[nodiscard]] static FilePosition decode(std::string_view text);  // PositionError
};

struct FileState {
  std::filesystem::path path;
  FileId id;  // without a head
  std::uint64_t size = 0;
  std::int64_t written_at = 0;  // ns of the wall clock, for comparing
};

[[nodiscard]] FileState state_of(const Fd& fd, const std::filesystem::path& path);
[[nodiscard]] std::optional<FileState> state_of(const std::filesystem::path& path);

/// The file still begins with those bytes.
[[nodiscard]] bool begins_as(const Fd& fd, const FileId& id);

/// The files beside `file` that it may have been rotated to, the oldest first.
[[nodiscard]] std::vector<FileState> rotated_files(const std::filesystem::path& file);

/// Where reading goes on from a position: the file itself, wherever it is now, or a copy of it.
/// Nothing where none fits.
[[nodiscard]] std::optional<FileState> find_again(const std::filesystem::path& file,
                                                  const FilePosition& position);

/// What was written after the file that has been read: the next one it was rotated to, or `file`.
/// Nothing where `file` is not there.
[[nodiscard]] std::optional<FileState> find_next(const std::filesystem::path& file,
                                                 const FileState& read);

}  // namespace microbatch::inline v0_1::detail
