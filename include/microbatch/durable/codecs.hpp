#pragma once

#include <fmt/format.h>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "../concepts/codec.hpp"

namespace microbatch::inline v0_1 {

/// Text as it is. The inspector and SQL views can show it.
struct TextCodec {
  [[nodiscard]] std::string_view name() const { return "text"; }
  [[nodiscard]] std::uint32_t version() const { return 1; }
  void encode(std::string_view item, std::string& out) const { out += item; }
  [[nodiscard]] std::string decode(std::string_view bytes) const { return std::string(bytes); }
};

/// Bytes as they are.
struct BytesCodec {
  [[nodiscard]] std::string_view name() const { return "bytes"; }
  [[nodiscard]] std::uint32_t version() const { return 1; }
  void encode(const std::vector<std::byte>& item, std::string& out) const {
    out.append(reinterpret_cast<const char*>(item.data()), item.size());
  }
  [[nodiscard]] std::vector<std::byte> decode(std::string_view bytes) const {
    const auto* begin = reinterpret_cast<const std::byte*>(bytes.data());
    return {begin, begin + bytes.size()};
  }
};

/// The memory of a trivially copyable type. Its size is a part of the codec's name; whoever changes
/// the type's meaning gives it another version.
template <class T, std::uint32_t Version = 1>
  requires std::is_trivially_copyable_v<T>
struct TrivialCodec {
  [[nodiscard]] std::string name() const { return fmt::format("trivial:{}", sizeof(T)); }
  [[nodiscard]] std::uint32_t version() const { return Version; }
  void encode(const T& item, std::string& out) const {
    out.append(reinterpret_cast<const char*>(&item), sizeof(T));
  }
  [[nodiscard]] T decode(std::string_view bytes) const {
    if (bytes.size() != sizeof(T))
      throw std::invalid_argument(
          fmt::format("codec {}: {} bytes, expected {}", name(), bytes.size(), sizeof(T)));
    alignas(T) std::byte memory[sizeof(T)];
    std::memcpy(memory, bytes.data(), sizeof(T));
    return *std::launder(reinterpret_cast<T*>(memory));
  }
};

namespace detail {

template <class T>
struct CodecOf {
  static_assert(std::is_trivially_copyable_v<T>,
                "microbatch: there is no codec for this item type; name one as the stream's codec "
                "(see concepts/codec.hpp), or use std::string, std::vector<std::byte> or a "
                "trivially copyable type");
  using type = TrivialCodec<T>;
};
template <>
struct CodecOf<std::string> {
  using type = TextCodec;
};
template <>
struct CodecOf<std::vector<std::byte>> {
  using type = BytesCodec;
};

}  // namespace detail

/// The codec of a stream of T that names none.
template <class T>
using DefaultCodec = typename detail::CodecOf<T>::type;

}  // namespace microbatch::inline v0_1
