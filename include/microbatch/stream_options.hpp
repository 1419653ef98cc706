#pragma once

#include <fmt/format.h>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory_resource>
#include <string>
#include <utility>

#include "core/clock.hpp"
#include "core/errors.hpp"
#include "core/item.hpp"
#include "core/results.hpp"
#include "core/weight.hpp"

namespace microbatch::inline v0_1 {

/// A clock by reference or by pointer; steady_clock() where none is given.
class ClockRef {
 public:
  ClockRef() noexcept : clock_(&steady_clock()) {}
  ClockRef(Clock& clock) noexcept : clock_(&clock) {}  // NOLINT(google-explicit-constructor)
  ClockRef(Clock* clock) : clock_(clock) {             // NOLINT(google-explicit-constructor)
    if (clock == nullptr) throw ConfigError("StreamOptions.clock must not be null");
  }
  [[nodiscard]] Clock& operator*() const noexcept { return *clock_; }

 private:
  Clock* clock_;
};

/// How much an item weighs against max_bytes: any function from a const item to a number that is
/// not negative. It is asked once per item, by the append.
template <class T>
class WeightFunction {
  static_assert((detail::require_item<T>(), true));

 public:
  WeightFunction() noexcept = default;
  template <class F>
    requires(!std::same_as<std::decay_t<F>, WeightFunction> &&
             std::invocable<std::decay_t<F>&, const T&>)
  WeightFunction(F&& f)  // NOLINT(google-explicit-constructor)
      : weigh_([f = std::forward<F>(f)](const T& item) mutable {
          return detail::checked_weight(std::invoke(f, item));
        }) {}

  [[nodiscard]] std::uint64_t operator()(const T& item) const { return weigh_(item); }
  [[nodiscard]] explicit operator bool() const noexcept { return static_cast<bool>(weigh_); }

 private:
  std::function<std::uint64_t(const T&)> weigh_;
};

/// The item type of options that leave it open.
struct AnyItem {};

/// Settings of a Stream<T>. `StreamOptions<>` carries everything but the weight function, and
/// becomes the settings of a stream of any type.
template <class T = AnyItem>
struct StreamOptions {
  static_assert((detail::require_item<T>(), true));
  static constexpr std::uint64_t unlimited = std::numeric_limits<std::uint64_t>::max();

  std::string name{};                   ///< for people; may be empty
  std::size_t capacity = 65'536;        ///< items accepted and not yet settled
  std::uint64_t max_bytes = unlimited;  ///< the same in the weight function's unit
  WeightFunction<T> weight{};
  Overflow overflow = Overflow::block;
  Duration expire_after = Duration::max();  ///< not in a window by then: dropped, counted
  ClockRef clock{};
  bool arrival_stamps = false;  ///< emitters that need stamps turn them on by themselves
  /// Where items lie, in the lanes, pending and in windows, each with its stamp and the like. Any
  /// thread uses it; it outlives the consumer (without one, the Stream) and every call that is still
  /// inside. Null: operator new. What an item allocates by itself is the item's.
  std::pmr::memory_resource* memory = nullptr;

  template <class U>
    requires std::same_as<T, AnyItem>
  operator StreamOptions<U>() const {  // NOLINT(google-explicit-constructor)
    return {.name = name,
            .capacity = capacity,
            .max_bytes = max_bytes,
            .weight = {},
            .overflow = overflow,
            .expire_after = expire_after,
            .clock = clock,
            .arrival_stamps = arrival_stamps,
            .memory = memory};
  }

  void check() const {
    constexpr std::size_t most = std::size_t{1} << 40;
    if (capacity < 1 || capacity > most)
      throw ConfigError(fmt::format("StreamOptions.capacity must be from 1 to {}, got {}{}", most,
                                    capacity, capacity > most ? " (a negative number?)" : ""));
    if (max_bytes == 0) throw ConfigError("StreamOptions.max_bytes must be at least 1, got 0");
    if (max_bytes != unlimited && !weight)
      throw ConfigError(
          "StreamOptions.max_bytes needs StreamOptions.weight: how much does an item weigh?");
    if (expire_after <= Duration::zero())
      throw ConfigError(fmt::format("StreamOptions.expire_after must be above 0 ns, got {} ns",
                                    expire_after.count()));
    if (name.find('\0') != std::string::npos)
      throw ConfigError("StreamOptions.name must not hold a null byte");
    if (name.size() > 255)
      throw ConfigError(
          fmt::format("StreamOptions.name must be at most 255 bytes long, got {}", name.size()));
  }
};

StreamOptions() -> StreamOptions<AnyItem>;

}  // namespace microbatch::inline v0_1
