#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <array>
#include <microbatch/core/errors.hpp>
#include <microbatch/durable/checksum.hpp>
#include <microbatch/io/position_file.hpp>

#include "posix.hpp"

namespace microbatch::inline v0_1 {

namespace {

// "microbatch-position 2 CHECKSUM\n", then the text. The checksum has 16 hexadecimal digits.
constexpr std::string_view magic = "microbatch-position ";
constexpr std::string_view version = "2 ";
constexpr std::size_t checksum_digits = 16;
constexpr std::size_t header_bytes = magic.size() + version.size() + checksum_digits + 1;

std::string checksum(std::string_view text) {
  return fmt::format("{:016x}", detail::Checksum::of(text));
}

}  // namespace

struct PositionFile::Lock {
  detail::Fd fd;
};

PositionFile::PositionFile(std::filesystem::path file)
    : file_(std::move(file)), lock_(std::make_unique<Lock>()) {
  if (file_.filename().empty())
    throw ConfigError(
        fmt::format("the position file must be a file's name, got '{}'", file_.string()));
  auto lock = file_;
  lock += ".lock";
  lock_->fd = detail::open_file(lock, O_RDWR | O_CREAT | O_NOFOLLOW, 0600);
  if (!lock_->fd) detail::throw_errno("cannot open the position's lock", lock);
  if (::flock(lock_->fd.get(), LOCK_EX | LOCK_NB) != 0)
    throw ConfigError(
        fmt::format("the position file {} is in use by another source", file_.string()));
}

PositionFile::PositionFile(PositionFile&&) noexcept = default;
PositionFile& PositionFile::operator=(PositionFile&&) noexcept = default;
PositionFile::~PositionFile() = default;

std::string PositionFile::encode(std::string_view text) {
  return fmt::format("{}{}{}\n{}", magic, version, checksum(text), text);
}

std::string PositionFile::decode(std::string_view bytes) {
  if (bytes.size() < header_bytes || !bytes.starts_with(magic))
    throw PositionError("it is no position file");
  if (bytes.substr(magic.size(), version.size()) != version)
    throw PositionError("it is of another version; expected version 2");
  const auto text = bytes.substr(header_bytes);
  if (bytes[header_bytes - 1] != '\n' ||
      bytes.substr(magic.size() + version.size(), checksum_digits) != checksum(text))
    throw PositionError("it is damaged: its checksum does not fit");
  return std::string(text);
}

std::optional<std::string> PositionFile::load() const {
  const detail::Fd fd = detail::open_file(file_, O_RDONLY | O_NOFOLLOW);
  if (!fd && errno == ENOENT) return std::nullopt;
  if (!fd) detail::throw_errno("cannot open the position file", file_);
  std::string bytes;
  std::array<char, 4096> chunk{};
  for (;;) {
    const ::ssize_t n = ::read(fd.get(), chunk.data(), chunk.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) detail::throw_errno("cannot read the position file", file_);
    if (n == 0) break;
    bytes.append(chunk.data(), static_cast<std::size_t>(n));
    if (bytes.size() > max_bytes + header_bytes) break;
  }
  try {
    if (bytes.size() > max_bytes + header_bytes) throw PositionError("it is too large");
    return decode(bytes);
  } catch (const PositionError& error) {
    throw PositionError(fmt::format("position file {}: {}. Remove it to read from the beginning",
                                    file_.string(), error.what()));
  }
}

void PositionFile::save(std::string_view text) {
  if (text.size() > max_bytes)
    throw UsageError(
        fmt::format("PositionFile::save: at most {} bytes, got {}", max_bytes, text.size()));
  detail::replace_file(file_, encode(text), 0600);
}

}  // namespace microbatch::inline v0_1
