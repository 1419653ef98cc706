#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace microbatch::inline v0_1::detail {

/// XXH64 of some bytes (Yann Collet's xxHash, 64 bit): one flipped bit changes it, and it reads
/// memory about as fast as memory is read. No protection against people.
class Checksum {
 public:
  [[nodiscard]] static std::uint64_t of(std::string_view bytes, std::uint64_t seed = 0) noexcept {
    const char* p = bytes.data();
    const char* const end = p + bytes.size();
    std::uint64_t hash;
    if (bytes.size() >= 32) {
      std::uint64_t lanes[4] = {seed + prime1 + prime2, seed + prime2, seed, seed - prime1};
      for (; end - p >= 32; p += 32)
        for (int i = 0; i < 4; ++i) lanes[i] = round(lanes[i], read<std::uint64_t>(p + 8 * i));
      hash = std::rotl(lanes[0], 1) + std::rotl(lanes[1], 7) + std::rotl(lanes[2], 12) +
             std::rotl(lanes[3], 18);
      for (const std::uint64_t lane : lanes) hash = (hash ^ round(0, lane)) * prime1 + prime4;
    } else {
      hash = seed + prime5;
    }
    hash += bytes.size();
    for (; end - p >= 8; p += 8)
      hash = std::rotl(hash ^ round(0, read<std::uint64_t>(p)), 27) * prime1 + prime4;
    if (end - p >= 4) {
      hash = std::rotl(hash ^ read<std::uint32_t>(p) * prime1, 23) * prime2 + prime3;
      p += 4;
    }
    for (; p != end; ++p)
      hash = std::rotl(hash ^ static_cast<unsigned char>(*p) * prime5, 11) * prime1;
    hash = (hash ^ (hash >> 33)) * prime2;
    hash = (hash ^ (hash >> 29)) * prime3;
    return hash ^ (hash >> 32);
  }

 private:
  static constexpr std::uint64_t prime1 = 0x9E3779B185EBCA87;
  static constexpr std::uint64_t prime2 = 0xC2B2AE3D27D4EB4F;
  static constexpr std::uint64_t prime3 = 0x165667B19E3779F9;
  static constexpr std::uint64_t prime4 = 0x85EBCA77C2B2AE63;
  static constexpr std::uint64_t prime5 = 0x27D4EB2F165667C5;

  template <class N>
  static std::uint64_t read(const char* p) noexcept {
    static_assert(std::endian::native == std::endian::little,
                  "microbatch: stored batches are little-endian");
    N n;
    std::memcpy(&n, p, sizeof n);
    return n;
  }
  static constexpr std::uint64_t round(std::uint64_t lane, std::uint64_t input) noexcept {
    return std::rotl(lane + input * prime2, 31) * prime1;
  }
};

}  // namespace microbatch::inline v0_1::detail
