#pragma once

#include <cstdint>
#include <microbatch/core/clock.hpp>
#include <string>
#include <string_view>

namespace lines {

/// One line of the input and what parsing found in it.
struct Line {
  std::int64_t offset = 0;  ///< of its first byte in the input
  std::string text;
  std::int64_t characters = 0;
  std::int64_t words = 0;
  const char* error = nullptr;  ///< why it does not parse; null: it does
  microbatch::TimePoint appended_at{};
};

/// Any text will do, as long as it is text: valid UTF-8 without null bytes. Counts characters (code
/// points) and words (what stands between blanks).
[[nodiscard]] Line parse(std::int64_t offset, std::string_view text);

}  // namespace lines
