#pragma once

#include <chrono>
#include <cstdint>
#include <exception>
#include <memory>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include "../streaming.hpp"
#include "ack_watch.hpp"
#include "codecs.hpp"
#include "durable_appends.hpp"
#include "group_writer.hpp"
#include "options.hpp"

namespace microbatch::inline v0_1 {

namespace detail {

/// What a durable stream, its producers and its consumers share.
template <class T, Storage S, Codec<T> C>
class DurableCore {
 public:
  DurableCore(std::shared_ptr<S> store, C item_codec, const DurableOptions& options)
      : storage(std::move(store)),
        codec(std::move(item_codec)),
        acks(std::make_shared<AckWatch<S>>(storage)),
        syncs(std::make_shared<GroupSync<S>>(storage, options.executor)),
        entries((options.check(), StreamOptions<Entry<T>>{.capacity = options.capacity,
                                                          .overflow = options.overflow})),
        writer(streaming(entries, WhatIsThere(options.group_items),
                         GroupWriter<T, S, C>(storage, syncs, codec, options.batch_bytes),
                         how_to_write(options))) {}

  std::shared_ptr<S> storage;
  C codec;
  std::shared_ptr<Acks> acks;
  std::shared_ptr<GroupSync<S>> syncs;
  Stream<Entry<T>> entries;
  Consumer<Entry<T>> writer;

 private:
  /// What nobody waits for is kept, and tried again as long as that may help.
  static ConsumerOptions<Entry<T>> how_to_write(const DurableOptions& options) {
    ConsumerOptions<Entry<T>> how;
    how.executor = options.executor;
    how.max_kept_dead_letters = options.capacity;
    how.on_failure = {.max_attempts = 1,
                      .first_delay = std::chrono::milliseconds(10),
                      .max_delay = std::chrono::milliseconds(500),
                      .isolate = Isolate::off,
                      .classify = judge};
    how.on_error = options.on_error;
    return how;
  }
  static Failure judge(const std::exception_ptr& error) {
    try {
      std::rethrow_exception(error);
    } catch (const StorageError& e) {
      return e.may_pass() ? Failure::transient : Failure::poison;
    } catch (const std::bad_alloc&) {
      return Failure::transient;
    } catch (...) {
      return Failure::poison;
    }
  }
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

  DurableProducer(Producer<detail::Entry<T>> producer, std::shared_ptr<detail::Acks> acks)
      : producer_(std::move(producer)), acks_(std::move(acks)) {}
  [[nodiscard]] auto& inner() noexcept { return producer_; }
  [[nodiscard]] const auto& acks() const noexcept { return acks_; }

  Producer<detail::Entry<T>> producer_;
  std::shared_ptr<detail::Acks> acks_;
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
    return DurableProducer<T>(core_->entries.producer(), core_->acks);
  }

  /// Returns when everything that was appended before is written, and its receipts are answered.
  void flush() {
    core_->syncs->check_may_wait("flush");
    core_->writer.flush();
    core_->syncs->flush();
  }
  /// Takes no more, and writes what is queued. It waits as long as the store is full or locked.
  DurableCloseResult<T> close() { return close(Duration::max()); }
  /// At most that long.
  template <class Rep, class Period>
  DurableCloseResult<T> close(std::chrono::duration<Rep, Period> timeout) {
    core_->syncs->check_may_wait("close");
    const TimePoint until = detail::later(steady_clock().now(), detail::to_duration(timeout));
    auto result = result_of(core_->writer.close(timeout));
    if (!core_->syncs->close(until - steady_clock().now())) result.timed_out = true;
    return result;
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
  [[nodiscard]] const auto& acks() const noexcept { return core_->acks; }

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
}  // namespace microbatch::inline v0_1
