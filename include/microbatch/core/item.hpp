#pragma once

#include <compare>
#include <concepts>
#include <cstdint>
#include <type_traits>

namespace microbatch::inline v0_1 {

/// Where a source read an item: commits go back to it as a contiguous prefix per partition.
struct Origin {
  std::uint32_t partition = 0;
  std::int64_t offset = -1;  ///< -1: not from a source

  friend auto operator<=>(const Origin&, const Origin&) = default;
};

/// What a stream can carry: an object type that can be moved and destroyed without an exception
/// from its destructor. Move-only, over-aligned and throwing-move types are fine.
template <class T>
concept StreamItem =
    std::is_object_v<T> && !std::is_const_v<T> && !std::is_volatile_v<T> && !std::is_array_v<T> &&
    std::move_constructible<T> && std::is_nothrow_destructible_v<T>;

namespace detail {

/// Says in plain words what is wrong with an item type; instantiated by Stream<T>.
template <class T>
consteval void require_item() {
  static_assert(!std::is_void_v<T>,
                "microbatch: a stream of void carries nothing; name an item type");
  static_assert(!std::is_reference_v<T>,
                "microbatch: a stream owns its items; use the type itself, a pointer or "
                "std::reference_wrapper instead of a reference");
  static_assert(!std::is_const_v<T> && !std::is_volatile_v<T>,
                "microbatch: items are moved, so the item type must not be const or volatile");
  static_assert(std::is_move_constructible_v<T>,
                "microbatch: items are moved from the producer to the window; this type cannot be "
                "moved (put it behind a std::unique_ptr)");
  static_assert(std::is_nothrow_destructible_v<T>,
                "microbatch: the item's destructor must not throw");
  static_assert(StreamItem<T>, "microbatch: this type cannot be an item of a stream");
}

}  // namespace detail
}  // namespace microbatch::inline v0_1
