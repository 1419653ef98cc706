#pragma once

#include <chrono>
#include <concepts>
#include <exception>
#include <ranges>
#include <utility>

#include "../core/acknowledgement.hpp"
#include "../stream.hpp"
#include "ack_watch.hpp"
#include "group_writer.hpp"
#include "receipt.hpp"

namespace microbatch::inline v0_1::detail {

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

  /// The item is written, and the answer is ready when it has settled, in whichever process. get()
  /// throws DeadLettered, or what any Acknowledgement throws; StorageError where the item could not
  /// be written. `abandoned`: this stream was closed, and the item is still in the store.
  Acknowledgement append(T&& item, AckTag) { return put_acknowledged(putting(std::move(item))); }
  Acknowledgement append(const T& item, AckTag) { return put_acknowledged(putting(item)); }
  /// The same; f(std::exception_ptr) is called once, null for delivered, and must not throw. Not
  /// called when the item is not accepted.
  template <std::invocable<std::exception_ptr> F>
  AppendResult append(T&& item, F f) {
    return put_with_completion(std::move(f), putting(std::move(item)));
  }
  template <std::invocable<std::exception_ptr> F>
  AppendResult append(const T& item, F f) {
    return put_with_completion(std::move(f), putting(item));
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

  /// For put_acknowledged() and its like, which see to the item's side of the state.
  template <class U>
  auto putting(U&& item) {
    return [this, &item](AckState* state) {
      const Receipt receipt = put(std::forward<U>(item), Safety::written);
      const AppendResult result = receipt.result();
      if (result != AppendResult::accepted && result != AppendResult::dropped) return result;
      receipt.state().on_complete(
          [&written = receipt.state(), state, acks = static_cast<Door&>(*this).acks()] {
            if (auto error = written.error()) {
              state->complete(std::move(error));
              state->release();
            } else {
              acks->add(written.last(), state);
            }
          });
      return result;
    };
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

}  // namespace microbatch::inline v0_1::detail
