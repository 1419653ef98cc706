#pragma once

#include <filesystem>
#include <microbatch/kafka/record.hpp>
#include <microbatch/microbatch.hpp>
#include <string>
#include <string_view>

#include "options.hpp"

namespace batches {

/// Puts a file of this text into the folder, complete and on the disk, as NAME.SUFFIX, or
/// NAME-2.SUFFIX and so on where that is taken: nothing is ever overwritten, also where several
/// processes write to the folder. Throws TransientError where the disk is full or fails.
std::filesystem::path place_file(const std::filesystem::path& folder, const std::string& name,
                                 std::string_view suffix, std::string_view text);

/// Appends a record as a row; false where its key or value is not UTF-8.
bool append_row(std::string& text, const microbatch::kafka::Record& record, Format format);

/// The batches' files. Threads: one at a time.
class BatchFiles {
 public:
  explicit BatchFiles(const Options& options);

  /// A file of the window's records; those that are no text are rejected.
  void write(microbatch::Window<microbatch::kafka::Record>& window);
  /// A file of a rejected record's value.
  void keep_rejected(const microbatch::kafka::Record& record);

  struct Counts {
    std::size_t files = 0;
    std::size_t records = 0;
    std::size_t late = 0;
    std::size_t rejected = 0;
  };
  [[nodiscard]] const Counts& counts() const noexcept { return counts_; }

 private:
  const Options& options_;
  std::string text_;
  Counts counts_;
};

}  // namespace batches
