#pragma once

#include <cerrno>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>

namespace microbatch::inline v0_1::detail {

/// Owns a file descriptor.
class Fd {
 public:
  Fd() noexcept = default;
  explicit Fd(int fd) noexcept : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Fd();

  [[nodiscard]] int get() const noexcept { return fd_; }
  [[nodiscard]] explicit operator bool() const noexcept { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

/// Throws a std::system_error with errno's meaning: "`what` FILE: No space left on device".
[[noreturn]] void throw_errno(std::string_view what, const std::filesystem::path& file,
                              int error = errno);

/// open() that is not interrupted, closed on exec; an empty Fd where it failed (see errno).
[[nodiscard]] Fd open_file(const std::filesystem::path& file, int flags, unsigned mode = 0);

/// All of the bytes; false where it failed (see errno), after an unknown part of them.
[[nodiscard]] bool write_all(int fd, std::string_view bytes) noexcept;

/// Makes a file's name in its folder survive a power cut.
void sync_folder_of(const std::filesystem::path& file);

/// A whole file that appears at once: written beside it, synced, renamed over it, the folder
/// synced. On an error nothing but the old file is there, unless it was the folder's sync that
/// failed.
void replace_file(const std::filesystem::path& file, std::string_view bytes, unsigned mode);

}  // namespace microbatch::inline v0_1::detail
