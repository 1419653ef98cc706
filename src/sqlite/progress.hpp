#pragma once

#include <array>
#include <bit>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <microbatch/core/clock.hpp>
#include <microbatch/durable/checksum.hpp>
#include <string>
#include <string_view>

namespace microbatch::inline v0_1::sqlite {

inline std::int64_t wall_now() {
  return std::chrono::duration_cast<Duration>(std::chrono::system_clock::now().time_since_epoch())
      .count();
}
inline std::int64_t steady_now() { return steady_clock().now().time_since_epoch().count(); }

/// Of a row: its bytes and its numbers.
template <class... N>
std::int64_t checksum(std::string_view bytes, N... numbers) {
  const std::array<std::int64_t, sizeof...(N)> all{static_cast<std::int64_t>(numbers)...};
  const std::string_view head(reinterpret_cast<const char*>(all.data()), sizeof all);
  return std::bit_cast<std::int64_t>(
      microbatch::detail::Checksum::of(bytes, microbatch::detail::Checksum::of(head)));
}

/// What has become of a batch's items: a row of microbatch_progress.
struct Progress {
  std::string settled;   // a bit per item; empty: none
  std::string attempts;  // two bytes per item; empty: none

  [[nodiscard]] bool is_settled(std::uint32_t i) const noexcept {
    return i / 8 < settled.size() &&
           (static_cast<unsigned char>(settled[i / 8]) >> (i % 8) & 1) != 0;
  }
  /// How many were not before.
  std::uint32_t settle(std::uint32_t items, std::uint32_t begin, std::uint32_t end) {
    settled.resize((items + 7) / 8);
    std::uint32_t fresh = 0;
    for (std::uint32_t i = begin; i < end; ++i) {
      fresh += is_settled(i) ? 0U : 1U;
      settled[i / 8] = static_cast<char>(settled[i / 8] | 1 << (i % 8));
    }
    return fresh;
  }
  [[nodiscard]] std::uint32_t settled_count() const noexcept {
    std::uint32_t n = 0;
    for (const char byte : settled)
      n += static_cast<std::uint32_t>(std::popcount(static_cast<unsigned char>(byte)));
    return n;
  }
  [[nodiscard]] std::uint16_t attempts_of(std::uint32_t i) const noexcept {
    std::uint16_t n;
    std::memcpy(&n, attempts.data() + 2 * std::size_t{i}, 2);
    return n;
  }
  void add_attempt(std::uint32_t items, std::uint32_t i) {
    attempts.resize(2 * std::size_t{items});
    const std::uint16_t n = attempts_of(i);
    const std::uint16_t more = n == UINT16_MAX ? n : static_cast<std::uint16_t>(n + 1);
    std::memcpy(attempts.data() + 2 * std::size_t{i}, &more, 2);
  }
  [[nodiscard]] std::int64_t sum(std::int64_t key) const {
    return checksum(attempts, checksum(settled, key));
  }
};

}  // namespace microbatch::inline v0_1::sqlite
