#include "rotation.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <microbatch/durable/checksum.hpp>
#include <microbatch/io/position_file.hpp>
#include <system_error>

namespace microbatch::inline v0_1::detail {

namespace {

/// Takes a number (or a number behind a word) from the front of a text.
struct Reader {
  std::string_view text;

  void word(std::string_view expected) {
    if (!text.starts_with(expected)) fail(expected);
    text.remove_prefix(expected.size());
  }
  std::uint64_t number(std::string_view what, int base = 10) {
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
    if (error != std::errc()) fail(what);
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    return value;
  }
  [[noreturn]] static void fail(std::string_view what) {
    throw PositionError(fmt::format("it is no position in a file: expected '{}'", what));
  }
};

FileState from_stat(const struct stat& s, const std::filesystem::path& path) {
  return {.path = path,
          .id = {.device = static_cast<std::uint64_t>(s.st_dev),
                 .inode = static_cast<std::uint64_t>(s.st_ino)},
          .size = static_cast<std::uint64_t>(s.st_size),
          .written_at = static_cast<std::int64_t>(s.st_mtim.tv_sec) * 1'000'000'000 +
                        static_cast<std::int64_t>(s.st_mtim.tv_nsec)};
}

/// ".1", "-20260101": anything else beside the file is not its.
bool is_rotation(std::string_view ending) {
  return ending.size() >= 2 && (ending[0] == '.' || ending[0] == '-') && ending[1] >= '0' &&
         ending[1] <= '9';
}

bool is_compressed(const std::filesystem::path& path) {
  constexpr std::array<std::string_view, 6> endings = {".gz",  ".bz2", ".xz",
                                                       ".zst", ".lz4", ".zip"};
  return std::ranges::find(endings, path.extension().native()) != endings.end();
}

/// Of two files last written at the same instant: app.log.2 is older than app.log.1, and
/// app.log-20260101 is older than app.log-20260102.
bool name_is_older(const std::filesystem::path& a, const std::filesystem::path& b) {
  const auto count = [](const std::filesystem::path& path) -> std::optional<std::uint64_t> {
    const std::string ending = path.extension().string();
    std::uint64_t n = 0;
    const auto [end, error] = std::from_chars(
        ending.data() + std::min<std::size_t>(1, ending.size()), ending.data() + ending.size(), n);
    if (error != std::errc() || end != ending.data() + ending.size()) return std::nullopt;
    return n;
  };
  const auto m = count(a), n = count(b);
  constexpr std::uint64_t least_date = 10'000;  // from here on it is a date, not a count
  if (m && n && *m != *n) return *m < least_date && *n < least_date ? *m > *n : *m < *n;
  return a < b;
}

bool is_older(const FileState& a, const FileState& b) {
  if (a.written_at != b.written_at) return a.written_at < b.written_at;
  return name_is_older(a.path, b.path);
}

}  // namespace

std::string FilePosition::encode() const {
  return fmt::format("file {} {} head {} {:x} offset {}\n", file.device, file.inode,
                     file.head_bytes, file.head, offset);
}

FilePosition FilePosition::decode(std::string_view text) {
  Reader reader{text};
  FilePosition position;
  reader.word("file ");
  position.file.device = reader.number("device");
  reader.word(" ");
  position.file.inode = reader.number("inode");
  reader.word(" head ");
  position.file.head_bytes = reader.number("length of the head");
  if (position.file.head_bytes > FileId::max_head) Reader::fail("a head of at most 1024 bytes");
  reader.word(" ");
  position.file.head = reader.number("checksum of the head", 16);
  reader.word(" offset ");
  position.offset = reader.number("offset");
  if (position.offset > std::uint64_t{1} << 62) Reader::fail("an offset below 2^62");
  reader.word("\n");
  if (!reader.text.empty()) Reader::fail("end");
  return position;
}

FileState state_of(const Fd& fd, const std::filesystem::path& path) {
  struct stat s {};
  if (::fstat(fd.get(), &s) != 0) throw_errno("cannot look at", path);
  return from_stat(s, path);
}

std::optional<FileState> state_of(const std::filesystem::path& path) {
  struct stat s {};
  if (::stat(path.c_str(), &s) != 0 || !S_ISREG(s.st_mode)) return std::nullopt;
  return from_stat(s, path);
}

bool begins_as(const Fd& fd, const FileId& id) {
  std::string head(id.head_bytes, '\0');
  std::size_t read = 0;
  while (read < head.size()) {
    const ::ssize_t n =
        ::pread(fd.get(), head.data() + read, head.size() - read, static_cast<::off_t>(read));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    read += static_cast<std::size_t>(n);
  }
  return Checksum::of(head) == id.head;
}

std::vector<FileState> rotated_files(const std::filesystem::path& file) {
  std::vector<FileState> found;
  const std::string name = file.filename().string();
  const auto folder = file.has_parent_path() ? file.parent_path() : std::filesystem::path(".");
  std::error_code error;
  for (std::filesystem::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error)) {
    const std::string other = entry->path().filename().string();
    if (!other.starts_with(name) || !is_rotation(other.substr(name.size()))) continue;
    if (is_compressed(entry->path())) continue;
    if (auto state = state_of(entry->path())) found.push_back(std::move(*state));
  }
  std::ranges::sort(found, is_older);
  return found;
}

std::optional<FileState> find_again(const std::filesystem::path& file,
                                    const FilePosition& position) {
  const auto fits = [&](const FileState& candidate) {
    if (candidate.size < position.offset) return false;
    const Fd fd = open_file(candidate.path, O_RDONLY);
    return fd && begins_as(fd, position.file);
  };
  const auto is_it = [&](const FileState& candidate) {
    return candidate.id.same_place(position.file) && fits(candidate);
  };
  auto candidates = rotated_files(file);
  if (auto current = state_of(file)) candidates.push_back(std::move(*current));
  auto found = std::ranges::find_if(candidates, is_it);
  // Without a head, nothing but its place tells that it is the one.
  if (found == candidates.end() && position.file.head_bytes > 0)
    found = std::ranges::find_if(candidates, fits);
  if (found == candidates.end()) return std::nullopt;
  return std::move(*found);
}

std::optional<FileState> find_next(const std::filesystem::path& file, const FileState& read) {
  auto current = state_of(file);
  if (!current || current->id.same_place(read.id)) return current;
  auto rotated = rotated_files(file);
  std::erase_if(rotated, [&](const FileState& f) { return f.id.same_place(current->id); });
  auto next =
      std::ranges::find_if(rotated, [&](const FileState& f) { return f.id.same_place(read.id); });
  if (next != rotated.end())
    ++next;
  else  // it has been removed
    next = std::ranges::find_if(rotated,
                                [&](const FileState& f) { return f.written_at > read.written_at; });
  return next != rotated.end() ? std::move(*next) : current;
}

}  // namespace microbatch::inline v0_1::detail
