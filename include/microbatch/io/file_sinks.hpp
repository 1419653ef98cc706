#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>

#include "text_lines.hpp"

namespace microbatch::inline v0_1 {

namespace detail {

/// What AppendFileSink and FolderSink do with a window's text.
class AppendFile {
 public:
  AppendFile(std::filesystem::path file, bool sync);
  AppendFile(AppendFile&&) noexcept;
  ~AppendFile();
  void put(std::string_view text);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

class FolderOfFiles {
 public:
  FolderOfFiles(std::filesystem::path folder, std::string prefix, std::string suffix);
  void put(std::string_view text);

 private:
  [[nodiscard]] std::filesystem::path name_of(std::uint64_t number) const;
  std::filesystem::path folder_;
  std::string prefix_;
  std::string suffix_;
  std::uint64_t next_ = 0;
};

}  // namespace detail

struct AppendFileSinkOptions {
  std::filesystem::path file;
  bool sync = true;  ///< fdatasync after each window; without it a power cut may take lines
};

/// Appends each result as a line to a file. When put() returns, the window's lines are on the disk;
/// when it throws, none of them are in the file, so that the repeated put does not double them.
///
/// Use for text and anything that fmt can write. Threads: any; several windows do not mix.
/// Errors: std::system_error at construction. put() throws TransientError where the disk is full or
/// fails. After a failed sync nobody knows what the disk holds: then every further put throws, and
/// nothing is written until the program opens the file anew.
class AppendFileSink {
 public:
  explicit AppendFileSink(AppendFileSinkOptions options)
      : shared_(std::make_unique<Shared>(std::move(options))) {}

  template <detail::Writable R>
  void put(std::span<const R> results) {
    const std::lock_guard lock(shared_->mutex);
    detail::write_lines(shared_->text, results);
    shared_->file.put(shared_->text);
  }

 private:
  struct Shared {
    explicit Shared(AppendFileSinkOptions options) : file(std::move(options.file), options.sync) {}
    std::mutex mutex;
    detail::AppendFile file;
    std::string text;
  };
  std::unique_ptr<Shared> shared_;
};

struct FolderSinkOptions {
  std::filesystem::path folder;
  std::string prefix = "part-";
  std::string suffix = ".txt";
};

/// Makes a file of each window that has results, `part-0000000000.txt` and so on, a line per
/// result. A file appears under its name only when it is complete and on the disk, so whoever
/// watches the folder never sees half of one. Numbers go on after those that are there; files in
/// the making begin with a dot.
///
/// A window that is put again after a failure may replace its own file of the failed attempt.
/// One process per folder and prefix. Threads: any. Errors: ConfigError for a name that cannot be;
/// put() throws TransientError where the disk is full or fails.
class FolderSink {
 public:
  explicit FolderSink(FolderSinkOptions options)
      : shared_(std::make_unique<Shared>(std::move(options))) {}

  template <detail::Writable R>
  void put(std::span<const R> results) {
    const std::lock_guard lock(shared_->mutex);
    detail::write_lines(shared_->text, results);
    shared_->files.put(shared_->text);
  }

 private:
  struct Shared {
    explicit Shared(FolderSinkOptions options)
        : files(std::move(options.folder), std::move(options.prefix), std::move(options.suffix)) {}
    std::mutex mutex;
    detail::FolderOfFiles files;
    std::string text;
  };
  std::unique_ptr<Shared> shared_;
};

}  // namespace microbatch::inline v0_1
