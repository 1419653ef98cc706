#pragma once

#include <chrono>
#include <concepts>
#include <cstddef>
#include <memory>
#include <ranges>
#include <string>
#include <utility>
#include <vector>

#include "../streaming.hpp"
#include "codecs.hpp"
#include "group_writer.hpp"
#include "options.hpp"
#include "receipt.hpp"

namespace microbatch {

namespace detail {

/// The appends that DurableStream and DurableProducer have in common. Door::inner() is the stream
/// or the producer of entries behind it.
template <class T, class Door>
class DurableAppends {
 public:
  /// Queued: it answers as soon as the item is in this process' memory. Full: see
  /// DurableOptions::overflow. What is not accepted stays with the caller.
  AppendResult append(T&& item) { return queue(std::move(item)).result; }
  AppendResult append(const T& item)
    requires std::copy_constructible<T>
  {
    return queue(item).result;
  }
  /// Never waits.
  [[nodiscard]] AppendResult try_append(T&& item) {
    return put(std::move(item),
               [](auto& in, auto&& entry) { return in.try_append(std::move(entry)); });
  }
  /// Waits for room at most that long.
  template <class Rep, class Period>
  [[nodiscard]] AppendResult append_for(T&& item, std::chrono::duration<Rep, Period> timeout) {
    return put(std::move(item),
               [&](auto& in, auto&& entry) { return in.append_for(std::move(entry), timeout); });
  }
  /// The items of a range, in order, until one is not taken. Elements are copied, or moved where
  /// the range yields rvalues.
  template <std::ranges::input_range R>
    requires std::constructible_from<T, std::ranges::range_reference_t<R>>
  [[nodiscard]] RangeResult append_range(R&& range) {
    return put_range(range, nullptr);
  }

  /// The same, and the receipt tells when they are written: they survive the end of the process.
  Receipt append(T&& item, WrittenTag) { return put(std::move(item), Safety::written); }
  Receipt append(const T& item, WrittenTag) { return put(item, Safety::written); }
  template <std::ranges::input_range R>
  Receipt append_range(R&& range, WrittenTag) {
    return put_range(range, Safety::written);
  }
  /// The same, and the receipt tells when they are synced: they survive a power cut.
  Receipt append(T&& item, SyncedTag) { return put(std::move(item), Safety::synced); }
  Receipt append(const T& item, SyncedTag) { return put(item, Safety::synced); }
  template <std::ranges::input_range R>
  Receipt append_range(R&& range, SyncedTag) {
    return put_range(range, Safety::synced);
  }

 private:
  [[nodiscard]] auto& inner() { return static_cast<Door&>(*this).inner(); }

  /// By reference all the way to the lane: a refused item was never touched.
  template <class U>
  struct Once {
    typename Entry<T>::template Ref<U> ref;
    const auto* begin() const noexcept { return &ref; }
    const auto* end() const noexcept { return &ref + 1; }
  };
  template <class U>
  RangeResult queue(U&& item, ReceiptState* receipt = nullptr) {
    return inner().append_range(Once<U>{{std::forward<U>(item), receipt}});
  }
  template <class U>
  Receipt put(U&& item, Safety safety) {
    Receipt receipt(safety);
    receipt.set_result(queue(std::forward<U>(item), &receipt.state()));
    return receipt;
  }

  template <std::ranges::input_range R>
  RangeResult put_range(R& range, ReceiptState* receipt) {
    using U = std::ranges::range_reference_t<R>;
    return inner().append_range(
        range | std::views::transform([receipt](U&& item) {
          return typename Entry<T>::template Ref<U>{std::forward<U>(item), receipt};
        }));
  }
  template <std::ranges::input_range R>
  Receipt put_range(R& range, Safety safety) {
    Receipt receipt(safety);
    receipt.set_result(put_range(range, &receipt.state()));
    return receipt;
  }

  /// Ways in that take an entry: what is refused is moved back.
  template <class Way>
  AppendResult put(T&& item, Way way)
    requires std::invocable<Way&, Stream<Entry<T>>&, Entry<T>&&>
  {
    Entry<T> entry(std::move(item), ReceiptShare());
    const AppendResult result = way(inner(), std::move(entry));
    if (result != AppendResult::accepted && result != AppendResult::dropped)
      item = std::move(entry.item);
    return result;
  }
};

/// What a durable stream, its producers and its consumers share.
template <class T, Storage S, Codec<T> C>
class DurableCore {
 public:
  DurableCore(std::shared_ptr<S> store, C item_codec, const DurableOptions& options)
      : storage(std::move(store)),
        codec(std::move(item_codec)),
        entries((options.check(), StreamOptions<Entry<T>>{.capacity = options.capacity,
                                                          .overflow = options.overflow})),
        writer(streaming(entries, WhatIsThere(options.group_items),
                         GroupWriter<T, S, C>(storage, codec, options.batch_bytes),
                         {.executor = options.executor,
                          .max_kept_dead_letters = options.capacity,
                          .on_failure = {.max_attempts = 1,
                                         .first_delay = std::chrono::milliseconds(10),
                                         .max_delay = std::chrono::milliseconds(500),
                                         .isolate = Isolate::off,
                                         .classify =
                                             [](const std::exception_ptr& error) {
                                               try {
                                                 std::rethrow_exception(error);
                                               } catch (const StorageError& e) {
                                                 return e.may_pass() ? Failure::transient
                                                                     : Failure::poison;
                                               } catch (...) {
                                                 return Failure::poison;
                                               }
                                             }},
                          .on_error = options.on_error})) {}

  std::shared_ptr<S> storage;
  C codec;
  Stream<Entry<T>> entries;
  Consumer<Entry<T>> writer;
};

template <class T, Storage S, Codec<T> C>
struct DurableCoreOf;  // how the assembly reaches it

}  // namespace detail

template <class T, Storage S, Codec<T> C>
class DurableStream;

/// A producer's own lane of a durable stream. Threads: one at a time.
template <class T>
class DurableProducer : public detail::DurableAppends<T, DurableProducer<T>> {
 private:
  template <class U, Storage S, Codec<U> C>
  friend class DurableStream;
  friend class detail::DurableAppends<T, DurableProducer<T>>;

  explicit DurableProducer(Producer<detail::Entry<T>> producer) : producer_(std::move(producer)) {}
  [[nodiscard]] auto& inner() noexcept { return producer_; }

  Producer<detail::Entry<T>> producer_;
};

/// How a durable stream was closed.
template <class T>
struct DurableCloseResult {
  std::uint64_t written = 0;  ///< items, since it was opened
  bool timed_out = false;
  std::vector<T> unwritten{};  ///< queued, and the store did not take them; yours again
};

/// A stream that survives its process: items are appended to a store, and consumed from there by
/// streaming(), in this process or another one.
///
/// Use when an item must not be lost with the process, or when producers and consumer are different
/// processes. Not for speed alone: Stream is a hundred times as fast.
/// Threads: any, all functions. Appends of all threads are grouped into one transaction.
/// Guarantees: an item whose receipt says `synced` survives a power cut, `written` a kill -9;
/// either is delivered at least once, and once in effect where the callback uses
/// window.transaction(). Errors: StorageError, ConfigError when it is opened; a receipt's get()
/// later on.
template <class T, Storage S, Codec<T> C = DefaultCodec<T>>
class DurableStream : public detail::DurableAppends<T, DurableStream<T, S, C>> {
 public:
  using value_type = T;

  explicit DurableStream(std::shared_ptr<S> store, const DurableOptions& options = {}, C codec = {})
      : core_((detail::require_item<T>(), std::make_unique<detail::DurableCore<T, S, C>>(
                                              std::move(store), std::move(codec), options))) {}

  /// A lane of its own, for a thread that appends a lot.
  [[nodiscard]] DurableProducer<T> producer() {
    return DurableProducer<T>(core_->entries.producer());
  }

  /// Returns when everything that was appended before is written.
  void flush() { core_->writer.flush(); }
  /// Takes no more, and writes what is queued. It waits as long as the store is full or locked.
  DurableCloseResult<T> close() { return result_of(core_->writer.close()); }
  /// At most that long.
  template <class Rep, class Period>
  DurableCloseResult<T> close(std::chrono::duration<Rep, Period> timeout) {
    return result_of(core_->writer.close(timeout));
  }

  /// The ledger of the appends: `delivered` counts what was written.
  [[nodiscard]] Stats stats() const { return core_->writer.stats(); }
  /// What the store holds, whoever wrote it.
  [[nodiscard]] StoredCounts stored() const { return core_->storage->counts(); }
  [[nodiscard]] std::string name() const { return std::string(core_->storage->name()); }
  [[nodiscard]] S& storage() noexcept { return *core_->storage; }

 private:
  friend class detail::DurableAppends<T, DurableStream<T, S, C>>;
  friend struct detail::DurableCoreOf<T, S, C>;

  [[nodiscard]] auto& inner() noexcept { return core_->entries; }

  DurableCloseResult<T> result_of(CloseResult<detail::Entry<T>> closed) {
    DurableCloseResult<T> result{.written = closed.delivered, .timed_out = closed.timed_out};
    for (auto& entry : closed.handed_back)
      if (entry.fate != detail::Entry<T>::Fate::told)
        result.unwritten.push_back(std::move(entry.item));
    for (auto& letter : core_->writer.take_dead_letters())
      if (letter.item.fate != detail::Entry<T>::Fate::told)
        result.unwritten.push_back(std::move(letter.item.item));
    return result;
  }

  std::shared_ptr<detail::DurableCore<T, S, C>> core_;
};

namespace detail {

template <class T, Storage S, Codec<T> C>
struct DurableCoreOf {
  [[nodiscard]] static const std::shared_ptr<DurableCore<T, S, C>>& get(
      const DurableStream<T, S, C>& stream) {
    return stream.core_;
  }
};

}  // namespace detail
}  // namespace microbatch
