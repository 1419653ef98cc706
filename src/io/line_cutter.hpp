#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace microbatch::inline v0_1::detail {

/// Cuts bytes into lines. Lines end with '\n', which is not part of them; every other byte is kept.
/// A line longer than the limit is passed over and counted.
class LineCutter {
 public:
  explicit LineCutter(std::size_t max_line_bytes) : max_(max_line_bytes) {}

  void feed(std::string_view bytes);
  /// The next complete line.
  bool take(std::string& line);
  /// At the end of the input: what stands behind the last newline.
  bool take_rest(std::string& line);

  /// Another input; what was counted stays.
  void reset();

  /// Bytes up to the end of the last line that was taken or passed over.
  [[nodiscard]] std::uint64_t consumed() const noexcept { return consumed_; }
  /// Nothing is held back.
  [[nodiscard]] bool empty() const noexcept { return begin_ == held_.size() && !skipping_; }
  [[nodiscard]] std::uint64_t too_long() const noexcept { return too_long_; }

 private:
  void skip(std::size_t n);

  std::size_t max_;
  std::string held_;
  std::size_t begin_ = 0;    // of what is not taken yet, in held_
  std::size_t scanned_ = 0;  // no newline before here
  std::uint64_t consumed_ = 0;
  std::uint64_t skipped_ = 0;  // bytes of the line that is being passed over
  std::uint64_t too_long_ = 0;
  bool skipping_ = false;
};

}  // namespace microbatch::inline v0_1::detail
