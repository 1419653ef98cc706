#include "line.hpp"

#include <cstddef>

namespace lines {

namespace {

/// The length of the UTF-8 sequence that the text begins with; 0 if that is none.
std::size_t sequence_length(std::string_view text) {
  const auto byte = [&](std::size_t i) -> unsigned {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0;
  };
  const auto continues = [&](std::size_t from, std::size_t to) {
    for (std::size_t i = from; i < to; ++i)
      if ((byte(i) & 0xC0) != 0x80) return false;
    return true;
  };
  const unsigned first = byte(0);
  const unsigned second = byte(1);
  if (first < 0x80) return 1;
  if (first >= 0xC2 && first <= 0xDF) return continues(1, 2) ? 2 : 0;
  if (first >= 0xE0 && first <= 0xEF) {
    if (first == 0xE0 && second < 0xA0) return 0;  // longer than need be
    if (first == 0xED && second > 0x9F) return 0;  // a surrogate
    return continues(1, 3) ? 3 : 0;
  }
  if (first >= 0xF0 && first <= 0xF4) {
    if (first == 0xF0 && second < 0x90) return 0;  // longer than need be
    if (first == 0xF4 && second > 0x8F) return 0;  // beyond U+10FFFF
    return continues(1, 4) ? 4 : 0;
  }
  return 0;
}

}  // namespace

Line parse(std::int64_t offset, std::string_view text) {
  Line line{.offset = offset, .text = std::string(text)};
  bool inside_word = false;
  while (!text.empty()) {
    const std::size_t length = sequence_length(text);
    if (length == 0 || text[0] == '\0') {
      line.error = length == 0 ? "not valid UTF-8" : "holds a null byte";
      return line;
    }
    const bool blank = text[0] == ' ' || (text[0] >= '\t' && text[0] <= '\r');
    if (!blank && !inside_word) ++line.words;
    inside_word = !blank;
    ++line.characters;
    text.remove_prefix(length);
  }
  return line;
}

}  // namespace lines
