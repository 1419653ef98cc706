#include "posix.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <system_error>

namespace microbatch::inline v0_1::detail {

Fd::~Fd() {
  if (fd_ >= 0) ::close(fd_);
}

void throw_errno(std::string_view what, const std::filesystem::path& file, int error) {
  throw std::system_error(error, std::generic_category(),
                          fmt::format("{} {}", what, file.string()));
}

Fd open_file(const std::filesystem::path& file, int flags, unsigned mode) {
  int fd = -1;
  do {
    fd = ::open(file.c_str(), flags | O_CLOEXEC, mode);
  } while (fd < 0 && errno == EINTR);
  return Fd(fd);
}

bool write_all(int fd, std::string_view bytes) noexcept {
  while (!bytes.empty()) {
    const ::ssize_t n = ::write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  return true;
}

void sync_folder_of(const std::filesystem::path& file) {
  const auto folder = file.has_parent_path() ? file.parent_path() : std::filesystem::path(".");
  const Fd fd = open_file(folder, O_RDONLY | O_DIRECTORY);
  if (!fd) throw_errno("cannot open the folder", folder);
  if (::fsync(fd.get()) != 0) throw_errno("cannot sync the folder", folder);
}

void replace_file(const std::filesystem::path& file, std::string_view bytes, unsigned mode) {
  auto beside = file;
  beside.replace_filename(fmt::format(".{}.{}.tmp", file.filename().string(), ::getpid()));
  ::unlink(beside.c_str());
  const auto fail = [&](std::string_view what) {
    const int error = errno;
    ::unlink(beside.c_str());
    throw_errno(what, file, error);
  };
  {
    const Fd fd = open_file(beside, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode);
    if (!fd) fail("cannot write beside");
    if (!write_all(fd.get(), bytes)) fail("cannot write");
    if (::fsync(fd.get()) != 0) fail("cannot sync");
  }
  if (std::rename(beside.c_str(), file.c_str()) != 0) fail("cannot rename to");
  sync_folder_of(file);
}

}  // namespace microbatch::inline v0_1::detail
