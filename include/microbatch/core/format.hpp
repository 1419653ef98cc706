#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <iterator>
#include <string_view>

#include "results.hpp"
#include "stats.hpp"

namespace microbatch::inline v0_1::detail {

/// The words of an enum, by its to_string.
template <class E>
struct WordFormatter : fmt::formatter<fmt::string_view> {
  template <class Context>
  auto format(E value, Context& context) const {
    const std::string_view text = to_string(value);
    return fmt::formatter<fmt::string_view>::format({text.data(), text.size()}, context);
  }
};

}  // namespace microbatch::inline v0_1::detail

template <>
struct fmt::formatter<microbatch::AppendResult>
    : microbatch::detail::WordFormatter<microbatch::AppendResult> {};
template <>
struct fmt::formatter<microbatch::Reason> : microbatch::detail::WordFormatter<microbatch::Reason> {
};
template <>
struct fmt::formatter<microbatch::Outcome>
    : microbatch::detail::WordFormatter<microbatch::Outcome> {};
template <>
struct fmt::formatter<microbatch::DropCause>
    : microbatch::detail::WordFormatter<microbatch::DropCause> {};
template <>
struct fmt::formatter<microbatch::Overflow>
    : microbatch::detail::WordFormatter<microbatch::Overflow> {};
template <>
struct fmt::formatter<microbatch::Order> : microbatch::detail::WordFormatter<microbatch::Order> {};

/// The ledger as its two equations, without the terms that are zero:
/// `10 offered = 8 accepted + 2 refused; 8 accepted = 7 delivered + 1 pending`
template <>
struct fmt::formatter<microbatch::Stats> {
  constexpr auto parse(fmt::format_parse_context& context) { return context.begin(); }

  template <class Context>
  auto format(const microbatch::Stats& s, Context& context) const {
    auto out = fmt::format_to(context.out(), "{} offered = {} accepted", s.offered, s.accepted);
    if (s.refused() != 0) out = fmt::format_to(out, " + {} refused", s.refused());
    out = fmt::format_to(out, "; {} accepted = {} delivered", s.accepted, s.delivered);
    const auto term = [&](std::uint64_t n, std::string_view what) {
      if (n != 0)
        out = fmt::format_to(out, " + {} {}", n, fmt::string_view(what.data(), what.size()));
    };
    term(s.dead_lettered, "dead-lettered");
    term(s.dropped(), "dropped");
    term(s.handed_back, "handed back");
    term(s.abandoned, "abandoned");
    term(s.in_flight, "in flight");
    term(s.pending, "pending");
    return out;
  }
};
