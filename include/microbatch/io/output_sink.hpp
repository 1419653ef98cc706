#pragma once

#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>

#include "text_lines.hpp"

namespace microbatch::inline v0_1 {

namespace detail {
void put_to_descriptor(int descriptor, std::string_view text);
}

/// Writes each result as a line to standard output, or to any other open file descriptor; a window
/// at a time and unbuffered.
///
/// A write that fails halfway is repeated as a whole, so lines may be seen twice. A reader that
/// went away sends SIGPIPE, as to any program; ignore that signal to get an error instead. Threads:
/// any; several windows do not mix. Errors: put() throws std::system_error.
class OutputSink {
 public:
  static constexpr int standard_output = 1;

  explicit OutputSink(int descriptor = standard_output)
      : shared_(std::make_unique<Shared>()), descriptor_(descriptor) {}

  template <detail::Writable R>
  void put(std::span<const R> results) {
    const std::lock_guard lock(shared_->mutex);
    detail::write_lines(shared_->text, results);
    detail::put_to_descriptor(descriptor_, shared_->text);
  }

 private:
  struct Shared {
    std::mutex mutex;
    std::string text;
  };
  std::unique_ptr<Shared> shared_;
  int descriptor_;
};

}  // namespace microbatch::inline v0_1
