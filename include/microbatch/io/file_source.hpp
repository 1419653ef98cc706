#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <utility>

#include "../pipeline.hpp"

namespace microbatch::inline v0_1 {

struct FileSourceOptions {
  std::filesystem::path file;
  bool follow = false;                     ///< wait for more at the end, also across rotations
  std::filesystem::path position{};        ///< where the position is kept; empty: nowhere
  bool from_end = false;                   ///< without a kept position: only what comes from now on
  std::size_t max_line_bytes = 1'048'576;  ///< longer lines are passed over and counted
  Duration poll_interval = std::chrono::milliseconds(250);  ///< how often it looks for more
  /// How long a file that was renamed away must be quiet before it is left for the new one.
  Duration rotation_grace = std::chrono::seconds(2);
  /// How old the kept position may get while the source runs; 0: saved at every commit.
  Duration save_every = std::chrono::seconds(1);
  std::function<void(const std::string&)> on_notice{};  ///< told of rotations and of losses

  void check() const;
};

struct FileSourceStats {
  std::uint64_t lines = 0;
  std::uint64_t too_long = 0;   ///< passed over, see max_line_bytes
  std::uint64_t rotations = 0;  ///< changes to another file
  /// The file had been cut or was gone, and what it held behind the position was nowhere to be
  /// found: lines may have been lost.
  std::uint64_t gaps = 0;
};

namespace detail {
class FileReader;
}

/// The lines of a file, from its beginning or from the kept position, to its end or, following it,
/// until told to stop. Items are the lines without their '\n'; every other byte is kept. At the end
/// of a file an unfinished line is a line; while following, it is waited for.
///
/// A rotated file is read to its end before the new one is begun: renamed (FILE.1, FILE-20260101)
/// or copied and truncated, while the source runs or while nobody does. It is recognised by its
/// first 1024 bytes and its inode among the files beside it whose names are FILE's, a '.' or '-'
/// and a digit, and followed in the order of their last writes. Compressed ones are not read: let
/// the rotation compress a file one turn later.
///
/// The position moves when lines commit, so a restart repeats only what had not (at most the last
/// `save_every`, after a crash), and misses nothing.
///
/// Threads: run() on one; commit() and stats() any. Errors: ConfigError at construction;
/// std::system_error or PositionError from run(). A position that cannot be saved is a background
/// error, and tried again.
///
///     FileSource log({.file = "app.log", .follow = true, .position = "app.position"});
///     run(log, any_of(CountWindow{1000}, MaxAgeWindow{1s}), insert, {}, {.stop = stop});
class FileSource {
 public:
  using value_type = std::string;

  explicit FileSource(FileSourceOptions options);
  FileSource(FileSource&&) noexcept;
  ~FileSource();

  void run(Feed<std::string>& feed, const std::stop_token& stop) {
    std::string line;
    Origin origin{.partition = 0};
    const Running running(*this);
    while (next(line, origin.offset, stop))
      if (feed.append(std::move(line), origin, stop) == AppendResult::closed) return;
  }
  void commit(const Origin& last);

  [[nodiscard]] FileSourceStats stats() const;

 private:
  /// Positions are saved now and then while it runs, and with every commit afterwards.
  class Running {
   public:
    explicit Running(FileSource& source);
    Running(const Running&) = delete;
    Running& operator=(const Running&) = delete;
    ~Running();

   private:
    FileSource& source_;
  };

  /// False at the end, or when told to stop. `offset` ascends over all files.
  bool next(std::string& line, std::int64_t& offset, const std::stop_token& stop);

  std::unique_ptr<detail::FileReader> reader_;
};

}  // namespace microbatch::inline v0_1
