#pragma once

#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>

namespace microbatch::inline v0_1 {

/// Turns items into bytes and back, for streams that outlive their process.
///
///   name(), version()     recorded with the stream; a stream is opened only with the codec that
///                         wrote it. A changed encoding is a new version.
///   encode(item, out)     appends the item's bytes to `out`; the storage knows where they end
///   decode(bytes)         gives back the item; it throws on bytes that encode() cannot have
///   written
///
/// encode() and decode() are called by several threads at once. What encode() throws refuses the
/// item.
/// Models: TextCodec, BytesCodec, TrivialCodec. One of your own:
///
///     struct OrderCodec {
///       std::string_view name() const { return "order"; }
///       std::uint32_t version() const { return 1; }
///       void encode(const Order& order, std::string& out) const { out += to_json(order); }
///       Order decode(std::string_view bytes) const { return from_json(bytes); }
///     };
template <class C, class T>
concept Codec = std::copy_constructible<C> &&
                requires(const C& codec, const T& item, std::string& out, std::string_view bytes) {
                  { codec.name() } -> std::convertible_to<std::string_view>;
                  { codec.version() } -> std::convertible_to<std::uint32_t>;
                  codec.encode(item, out);
                  { codec.decode(bytes) } -> std::same_as<T>;
                };

}  // namespace microbatch::inline v0_1
