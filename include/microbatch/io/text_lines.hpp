#pragma once

#include <fmt/format.h>

#include <concepts>
#include <iterator>
#include <span>
#include <string>
#include <string_view>

namespace microbatch::inline v0_1::detail {

/// What the sinks for text take: text as it is, anything else as fmt writes it.
template <class R>
concept Writable = std::convertible_to<const R&, std::string_view> || fmt::is_formattable<R>::value;

/// One line per result; into `text`, so that its room is used again.
template <Writable R>
void write_lines(std::string& text, std::span<const R> results) {
  text.clear();
  for (const R& result : results) {
    if constexpr (std::convertible_to<const R&, std::string_view>)
      text.append(std::string_view(result));
    else
      fmt::format_to(std::back_inserter(text), "{}", result);
    text.push_back('\n');
  }
}

}  // namespace microbatch::inline v0_1::detail
