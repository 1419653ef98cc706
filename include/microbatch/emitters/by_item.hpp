#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <type_traits>
#include <utility>

#include "../core/event_time.hpp"
#include "../core/key_map.hpp"

namespace microbatch::inline v0_1 {
namespace detail {

/// No key function: everything has one and the same key.
struct Unkeyed {};
struct NoKey {
  friend bool operator==(const NoKey&, const NoKey&) = default;
};

template <class KeyFn, class T>
struct KeyOf {
  static_assert(std::invocable<KeyFn&, const T&>,
                "microbatch: by_key's key function must be callable with a const item");
  using type = StoredKey<std::invoke_result_t<KeyFn&, const T&>>;
  static_assert(HashableKey<type>,
                "microbatch: by_key's key must have a std::hash, an ==, and be copyable");
};
template <class T>
struct KeyOf<Unkeyed, T> {
  using type = NoKey;
};
template <class KeyFn, class T>
using key_of_t = typename KeyOf<KeyFn, T>::type;

/// So many items an emitter that routes them wants to see at a time: as many as stay in a cache
/// between the lane and the bucket. While a window is ready it wants none.
inline constexpr std::size_t routed_at_once = 1024;

/// An emitter that keeps state for one item type, which it learns when it is first asked. Copies
/// share the settings and begin without a state.
class ByItem {
 public:
  ByItem() = default;
  ByItem(const ByItem&) noexcept {}
  ByItem(ByItem&&) noexcept = default;
  ByItem& operator=(const ByItem&) noexcept { return *this; }
  ByItem& operator=(ByItem&&) noexcept = default;

 protected:
  ~ByItem() = default;

  struct State {
    virtual ~State() = default;
  };
  /// The one state there is: an emitter serves one stream.
  template <class S, class Make>
  S& state(Make&& make) {
    if (state_ == nullptr) state_ = make();
    return static_cast<S&>(*state_);
  }

 private:
  std::unique_ptr<State> state_;
};

}  // namespace detail
}  // namespace microbatch::inline v0_1

template <>
struct std::hash<microbatch::detail::NoKey> {
  std::size_t operator()(const microbatch::detail::NoKey&) const noexcept { return 0; }
};
