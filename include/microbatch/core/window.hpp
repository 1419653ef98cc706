#pragma once

#include <fmt/format.h>

#include <cstddef>
#include <cstdint>
#include <exception>
#include <optional>
#include <ranges>
#include <span>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "any_key.hpp"
#include "clock.hpp"
#include "errors.hpp"
#include "event_time.hpp"
#include "format.hpp"
#include "item.hpp"
#include "item_slots.hpp"
#include "results.hpp"

namespace microbatch::inline v0_1 {

/// One item's own failure, as a text. What a rejected item's dead letter carries.
class Rejected : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

namespace detail {

/// What all parts of a window share.
struct WindowInfo {
  std::uint64_t sequence = 0;
  Reason reason = Reason::none;
  TimePoint opened_at{};
  TimePoint closed_at{};
  TimePoint oldest_at{};
  TimePoint emitted_at{};
  TimePoint ended_at = never;
  std::optional<EventBounds> event_bounds{};
  AnyKey key{};
};

struct Rejection {
  std::size_t index;
  std::exception_ptr error;
  Failure failure = Failure::poison;
};

}  // namespace detail

/// One batch: contiguous items, and why, when and in what attempt they were emitted. It is a view
/// on recycled storage, valid while the callback runs. A retry, or a part of a window that was
/// taken apart, is a sub-view with the same sequence().
///
/// The callback may change items in place; a retry sees what it left, not the originals.
/// Threads: the callback's. Memory order: everything the producers did before they appended is
/// visible to the callback.
template <class T>
class Window {
 public:
  using value_type = T;
  using iterator = T*;

  [[nodiscard]] T* begin() const noexcept { return items_.data(); }
  [[nodiscard]] T* end() const noexcept { return items_.data() + items_.size(); }
  [[nodiscard]] T* data() const noexcept { return items_.data(); }
  [[nodiscard]] std::size_t size() const noexcept { return items_.size(); }
  [[nodiscard]] bool empty() const noexcept { return items_.empty(); }
  [[nodiscard]] T& operator[](std::size_t i) const noexcept { return items_[i]; }

  /// Windows of a consumer are numbered from 0 in the order in which they were emitted.
  [[nodiscard]] std::uint64_t sequence() const noexcept { return info_->sequence; }
  /// 0 for the whole window; its parts count on from 1 in the order in which they are tried.
  [[nodiscard]] std::uint32_t part() const noexcept { return part_; }
  [[nodiscard]] Reason reason() const noexcept { return info_->reason; }
  /// The window's bounds: half open on a fixed grid, otherwise when the one before it closed and
  /// when this one was emitted.
  [[nodiscard]] TimePoint opened_at() const noexcept { return info_->opened_at; }
  [[nodiscard]] TimePoint closed_at() const noexcept { return info_->closed_at; }
  /// Arrival of the oldest item; without arrival stamps, opened_at().
  [[nodiscard]] TimePoint oldest_at() const noexcept { return info_->oldest_at; }
  /// When it left the emitter, and how long it took from there until its callback had returned, and
  /// the sink with it; Duration::max() before that. For emitters' on_commit.
  [[nodiscard]] TimePoint emitted_at() const noexcept { return info_->emitted_at; }
  [[nodiscard]] Duration took() const noexcept {
    return info_->ended_at == never ? Duration::max() : info_->ended_at - info_->emitted_at;
  }
  /// Which stretch of event time it covers; none where its emitter does not go by event time.
  [[nodiscard]] const std::optional<EventBounds>& event_bounds() const noexcept {
    return info_->event_bounds;
  }
  /// Whether all its items have one key; see by_key.
  [[nodiscard]] bool has_key() const noexcept { return info_->key.has(); }
  /// That key. UsageError where there is none, or K is not its type.
  template <class K>
  [[nodiscard]] const K& key() const {
    if (const K* key = info_->key.template get<K>()) return *key;
    throw UsageError(has_key() ? "Window::key: the key has another type than the one asked for"
                               : "Window::key: this window has no key; expected one from by_key");
  }

  /// From 1: how often these items have been handed to the callback, this time included.
  [[nodiscard]] std::uint32_t attempt() const noexcept { return attempt_; }
  /// Where the source read the i-th item; an offset of -1 where it came from none.
  [[nodiscard]] Origin origin(std::size_t i) const noexcept {
    return slots_ == nullptr ? Origin{} : slots_->origin(slot_ + i);
  }
  /// Arrival of the i-th item; TimePoint{} on a stream without arrival stamps.
  [[nodiscard]] TimePoint stamp(std::size_t i) const noexcept {
    return slots_ == nullptr ? TimePoint{} : slots_->stamp(slot_ + i);
  }
  /// Asked to stop when the consumer is stopped, or its close runs out of time.
  [[nodiscard]] const std::stop_token& stop_token() const noexcept { return stop_; }

  /// This item failed, the others did not: it becomes a dead letter (or is retried alone where the
  /// failure policy calls its error transient), and the rest counts as delivered. Ignored when the
  /// callback throws afterwards: then the whole window has failed.
  void reject(std::size_t i, std::exception_ptr error) {
    if (i >= items_.size())
      throw std::out_of_range(
          fmt::format("Window::reject: index {} in a window of {}", i, items_.size()));
    rejections_->push_back({.index = i, .error = std::move(error)});
  }
  void reject(std::size_t i, const std::string& error) {
    reject(i, std::make_exception_ptr(Rejected(error)));
  }

  /// For the engine and for tests of callbacks.
  Window(std::span<T> items, const detail::WindowInfo& info, std::uint32_t part,
         std::uint32_t attempt, std::vector<detail::Rejection>& rejections, std::stop_token stop,
         const detail::ItemSlots<T>* slots = nullptr, std::size_t slot = 0)
      : items_(items),
        info_(&info),
        rejections_(&rejections),
        slots_(slots),
        slot_(slot),
        stop_(std::move(stop)),
        part_(part),
        attempt_(attempt) {}

 private:
  std::span<T> items_;
  const detail::WindowInfo* info_;
  std::vector<detail::Rejection>* rejections_;
  const detail::ItemSlots<T>* slots_;  // the items' columns; the first item stands at slot_
  std::size_t slot_;
  std::stop_token stop_;
  std::uint32_t part_;
  std::uint32_t attempt_;
};

}  // namespace microbatch::inline v0_1

/// A view on storage: it converts to std::span<T> and std::span<const T>, as any contiguous range
/// does.
template <class T>
inline constexpr bool std::ranges::enable_borrowed_range<microbatch::Window<T>> = true;

/// It prints as a window, not element by element, also where <fmt/ranges.h> is included.
FMT_BEGIN_NAMESPACE
template <typename T, typename Char>
struct is_range;
template <class T, class Char>
struct is_range<microbatch::Window<T>, Char> {
  static constexpr bool value = false;
};
FMT_END_NAMESPACE

/// `window 7: 1000 items by count, attempt 1`
template <class T>
struct fmt::formatter<microbatch::Window<T>> {
  constexpr auto parse(fmt::format_parse_context& context) { return context.begin(); }
  template <class Context>
  auto format(const microbatch::Window<T>& window, Context& context) const {
    auto out = fmt::format_to(context.out(), "window {}", window.sequence());
    if (window.part() != 0) out = fmt::format_to(out, ".{}", window.part());
    return fmt::format_to(out, ": {} item{} by {}, attempt {}", window.size(),
                          window.size() == 1 ? "" : "s", microbatch::to_string(window.reason()),
                          window.attempt());
  }
};
