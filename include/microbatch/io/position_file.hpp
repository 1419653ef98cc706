#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

namespace microbatch::inline v0_1 {

/// A position file that cannot be used: damaged, of a newer version, or of another kind of source.
class PositionError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Where a source keeps how far it has got: one small text in a file that is replaced as a whole,
/// so that a crash leaves the old text or the new one. It carries a checksum; damage is never taken
/// for a position.
///
/// While the object lives, FILE.lock keeps other processes (and other sources) from using the same
/// file; a ConfigError says so.
/// Threads: one at a time. Errors: PositionError from load(); std::system_error where the disk
/// fails, after which the old text still stands.
class PositionFile {
 public:
  static constexpr std::size_t max_bytes = 65'536;  ///< of a text

  explicit PositionFile(std::filesystem::path file);
  PositionFile(PositionFile&&) noexcept;
  PositionFile& operator=(PositionFile&&) noexcept;
  ~PositionFile();

  /// What was saved last; nothing where there is no file.
  [[nodiscard]] std::optional<std::string> load() const;
  /// On return it is on the disk.
  void save(std::string_view text);

  [[nodiscard]] const std::filesystem::path& path() const noexcept { return file_; }

  /// The file's form and back, for tools and tests.
  [[nodiscard]] static std::string encode(std::string_view text);
  [[nodiscard]] static std::string decode(std::string_view bytes);

 private:
  struct Lock;
  std::filesystem::path file_;
  std::unique_ptr<Lock> lock_;
};

}  // namespace microbatch::inline v0_1
