#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <ranges>
#include <span>
#include <stop_token>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "../concepts/storage.hpp"
#include "../delivery/handler.hpp"

namespace microbatch::inline v0_1 {

/// A window of a durable stream: the core's Window, and where its items stand in the store.
///
/// What the callback puts into transaction() is done in one transaction with the window's commit:
/// both, or neither. So it takes effect once, however often the callback runs. Nothing is done
/// before the callback has returned, and the store is not locked while it runs.
/// Threads: the callback's.
template <class T, class S>
class DurableWindow {
 public:
  using value_type = T;
  using iterator = T*;

  [[nodiscard]] T* begin() const noexcept { return window_->begin(); }
  [[nodiscard]] T* end() const noexcept { return window_->end(); }
  [[nodiscard]] T* data() const noexcept { return window_->data(); }
  [[nodiscard]] std::size_t size() const noexcept { return window_->size(); }
  [[nodiscard]] bool empty() const noexcept { return window_->empty(); }
  [[nodiscard]] T& operator[](std::size_t i) const noexcept { return (*window_)[i]; }

  /// The position of its first item: stable, so a receiver that keeps the highest position it has
  /// seen recognises what comes again after a crash, also where the windows are cut otherwise.
  [[nodiscard]] Position sequence() const noexcept { return empty() ? -1 : position(0); }
  [[nodiscard]] Position position(std::size_t i) const noexcept {
    return window_->origin(i).offset;
  }
  /// As Window::attempt, and the failed attempts of earlier processes with any of these items.
  [[nodiscard]] std::uint32_t attempt() const noexcept { return window_->attempt() + earlier_; }
  [[nodiscard]] std::uint32_t part() const noexcept { return window_->part(); }
  [[nodiscard]] Reason reason() const noexcept { return window_->reason(); }
  [[nodiscard]] TimePoint opened_at() const noexcept { return window_->opened_at(); }
  [[nodiscard]] TimePoint closed_at() const noexcept { return window_->closed_at(); }
  [[nodiscard]] TimePoint oldest_at() const noexcept { return window_->oldest_at(); }
  [[nodiscard]] const std::stop_token& stop_token() const noexcept { return window_->stop_token(); }
  [[nodiscard]] const std::optional<EventBounds>& event_bounds() const noexcept {
    return window_->event_bounds();
  }
  [[nodiscard]] bool has_key() const noexcept { return window_->has_key(); }
  template <class K>
  [[nodiscard]] const K& key() const {
    return window_->template key<K>();
  }

  /// This item failed, the others did not; see Window::reject.
  void reject(std::size_t i, std::exception_ptr error) {
    window_->reject(i, std::move(error));
    rejected_->resize(size(), false);
    (*rejected_)[i] = true;
  }
  void reject(std::size_t i, const std::string& error) {
    reject(i, std::make_exception_ptr(Rejected(error)));
  }

  /// Collects what is to be done together with the commit.
  [[nodiscard]] typename S::Transaction& transaction() const noexcept { return *transaction_; }

  /// For streaming().
  DurableWindow(Window<T>& window, typename S::Transaction& transaction,
                std::vector<bool>& rejected, std::uint32_t earlier) noexcept
      : window_(&window), transaction_(&transaction), rejected_(&rejected), earlier_(earlier) {}
  [[nodiscard]] Window<T>& base() const noexcept { return *window_; }

 private:
  Window<T>* window_;
  typename S::Transaction* transaction_;
  std::vector<bool>* rejected_;
  std::uint32_t earlier_;
};

namespace detail {

/// Calls the callback of a durable stream's consumer in whichever form it takes.
template <class T, class S, class F>
decltype(auto) call_durable(F& callback, DurableWindow<T, S>& window) {
  if constexpr (std::invocable<F&, DurableWindow<T, S>&>)
    return std::invoke(callback, window);
  else if constexpr (std::invocable<F&, std::span<T>>)
    return std::invoke(callback, std::span<T>(window.begin(), window.size()));
  else {
    static_assert(std::invocable<F&, std::span<const T>>,
                  "microbatch: the callback of a durable stream must be callable with "
                  "DurableWindow<T, Storage>&, std::span<T> or std::span<const T>, where T is the "
                  "stream's item type");
    return std::invoke(callback, std::span<const T>(window.begin(), window.size()));
  }
}

template <class T, class S, class F>
using DurableReturned = std::remove_cvref_t<decltype(call_durable<T, S>(
    std::declval<F&>(), std::declval<DurableWindow<T, S>&>()))>;

}  // namespace detail

/// What the sink takes, for a callback F on a durable stream of T; as callback_result_t.
template <class T, class S, class F>
using durable_result_t = typename detail::ResultOf<detail::DurableReturned<T, S, F>>::type;

}  // namespace microbatch::inline v0_1

template <class T, class S>
inline constexpr bool std::ranges::enable_borrowed_range<microbatch::DurableWindow<T, S>> = true;
