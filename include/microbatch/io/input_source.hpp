#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <stop_token>
#include <string>
#include <utility>

#include "../pipeline.hpp"

namespace microbatch::inline v0_1 {

namespace detail {
class InputReader;
}

/// The lines of standard input, or of any other open file descriptor that can be read: a pipe, a
/// socket, a terminal. To its end, or until told to stop, also while it waits for input. Lines are
/// cut as FileSource cuts them.
///
/// The descriptor stays the caller's. Nothing that was read can be read again, so there is no
/// position. Errors: ConfigError at construction; std::system_error from run().
///
///     run(InputSource(), CountWindow{1000}, insert);
class InputSource {
 public:
  using value_type = std::string;
  static constexpr int standard_input = 0;

  explicit InputSource(int descriptor = standard_input, std::size_t max_line_bytes = 1'048'576);
  InputSource(InputSource&&) noexcept;
  ~InputSource();

  void run(Feed<std::string>& feed, const std::stop_token& stop) {
    std::string line;
    while (next(line, stop))
      if (feed.append(std::move(line), stop) == AppendResult::closed) return;
  }

  /// Lines that were passed over. By the thread that runs it, or afterwards.
  [[nodiscard]] std::uint64_t too_long() const noexcept;

 private:
  bool next(std::string& line, const std::stop_token& stop);

  std::unique_ptr<detail::InputReader> reader_;
};

}  // namespace microbatch::inline v0_1
