#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

#include "../emitters/by_key.hpp"
#include "../emitters/count_window.hpp"
#include "aggregated.hpp"
#include "aggregates.hpp"

namespace microbatch::inline v0_1::detail {

/// Whatever is there, as soon as nobody is busy with what was there before.
struct Arrivals {
  static constexpr std::size_t at_once = 4096;  // and no more, so that it stays in a cache

  template <class T>
  Readiness window_ready(Pending<T>& pending, TimePoint) const noexcept {
    return {
        .ready = !pending.empty(), .reason = Reason::free_worker, .limit = at_once, .at_items = 1};
  }
};

template <class G>
using StateOf = decltype(std::declval<G&>().empty());

/// Keys and aggregates that cannot fail: an item is added up or not, and never half.
template <class T, class G, class KeyFn>
concept FoldsSafely =
    std::is_nothrow_invocable_v<KeyFn&, const T&> && std::is_scalar_v<key_of_t<KeyFn, T>> &&
    std::is_trivially_copyable_v<StateOf<G>> && requires(G& g, StateOf<G>& all, const T& item) {
      { g.add(all, item) } noexcept;
    };

/// Count windows by key, added up as the items come: none of them is kept, or brought to its key.
///
/// Threads: one window of arrivals at a time, in order. One that is tried again, or a part of it,
/// gives what it gave before and adds nothing up twice.
/// Errors: where a later stage throws, the item that filled the window ends as rejected. Where the
/// sink does, and goes on to, parts of the window of arrivals are tried one by one, and not in
/// order.
template <class T, class G, class KeyFn>
class KeyedFold {
 public:
  using K = key_of_t<KeyFn, T>;
  using A = StateOf<G>;
  using R = std::remove_cvref_t<decltype(std::declval<G&>().result(std::declval<A&&>()))>;
  using Result = Aggregated<R, K>;
  static constexpr bool keeps_state = true;

  KeyedFold(KeyFn key, CountWindow size, G g)
      : key_(std::move(key)), size_(std::move(size)), g_(std::move(g)) {}

  template <class Out>
  void operator()(Window<T>& window, Out&& out) {
    if (sequence_ != window.sequence()) begin(window);
    const auto from = static_cast<std::size_t>(window.data() - items_);
    const std::size_t to = from + window.size();
    fold(to);
    for (const Full& one : full_) {
      if (one.by < from || one.by >= to) continue;
      try {
        out(aggregated(one.key, g_.result(A(one.all)), {}, Reason::count));
      } catch (...) {  // the others go on, in order
        window.reject(one.by - from, std::current_exception());
      }
    }
  }

  /// What the windows that are not full came to, at the end of the stream.
  template <class Out>
  void finish(Out&& out) {
    open_.for_each([&](const K& key, const Open& open) {
      if (open.count > 0) out(aggregated(key, g_.result(A(open.all)), {}, Reason::close));
    });
  }

 private:
  struct Open {
    A all;
    std::size_t count = 0;
  };
  struct Full {
    std::size_t by;  // the item that filled it
    K key;
    A all;
  };

  void begin(const Window<T>& window) {
    full_.clear();
    full_.reserve(window.size());  // all memory first
    folded_ = 0;
    items_ = window.data();
    sequence_ = window.sequence();
  }
  void fold(std::size_t to) {
    const std::size_t size = size_.size();
    for (; folded_ < to; ++folded_) {
      const T& item = items_[folded_];
      const K key = std::invoke(key_, item);
      std::uint32_t slot = open_.find(key);
      if (slot == open_.none) [[unlikely]]
        slot = open_.insert(key, [this] { return Open{g_.empty()}; }).first;
      Open& open = open_[slot];
      g_.add(open.all, item);
      if (++open.count < size) [[likely]]
        continue;
      full_.push_back({folded_, key, open.all});
      open = {g_.empty()};
    }
    forget_idle();
  }
  /// Keys that have nothing open; they begin anew.
  void forget_idle() {
    for (const Full& one : full_) {
      const std::uint32_t slot = open_.find(one.key);
      if (slot != open_.none && open_[slot].count == 0) open_.erase(slot);
    }
  }

  KeyFn key_;
  CountWindow size_;
  G g_;
  KeyMap<K, Open> open_;

  // Of the window of arrivals that was begun last:
  std::optional<std::uint64_t> sequence_;
  const T* items_ = nullptr;
  std::size_t folded_ = 0;
  std::vector<Full> full_;
};

}  // namespace microbatch::inline v0_1::detail
