#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "../concepts/codec.hpp"
#include "../concepts/storage.hpp"
#include "batch_body.hpp"
#include "group_sync.hpp"

namespace microbatch::inline v0_1::detail {

/// An item on its way to the store. Made only when the append is accepted: until then it is a
/// reference to the caller's item.
template <class T>
struct Entry {
  template <class U>
  struct Ref {
    U&& item;
    ReceiptState* receipt;
  };

  Entry(T&& i, ReceiptShare r) : item(std::move(i)), receipt(std::move(r)) {}
  template <class U>
  Entry(const Ref<U>& ref)  // NOLINT(google-explicit-constructor)
      : item(std::forward<U>(ref.item)),
        receipt(ref.receipt != nullptr ? ReceiptShare(*ref.receipt) : ReceiptShare()) {}

  T item;
  ReceiptShare receipt;
  /// `told`: it could not be written, and its caller knows. `rejected`: its codec threw.
  enum class Fate : std::uint8_t { open, told, rejected } fate = Fate::open;
};

/// The callback behind the appends: writes a window's items as one transaction, and answers their
/// receipts, or has them answered when they are synced.
///
/// Where the store fails, whoever waits is told at once, and what nobody waits for is kept and
/// tried again by the consumer that calls.
template <class T, class S, class C>
class GroupWriter {
 public:
  GroupWriter(std::shared_ptr<S> store, std::shared_ptr<GroupSync<S>> syncs, C codec,
              std::size_t max_bytes)
      : store_(std::move(store)),
        syncs_(std::move(syncs)),
        codec_(std::move(codec)),
        max_bytes_(max_bytes) {}

  void operator()(Window<Entry<T>>& window) {
    std::int64_t first = 0;
    bool sync_later = false;
    try {
      const Safety safety = gather(window);
      if (cut_ == 0) return;
      batches_.clear();
      std::size_t bytes = 0;
      for (std::size_t k = 0; k < cut_; ++k) {
        batches_.push_back({.items = rows_[k].items, .body = rows_[k].body});
        bytes += rows_[k].body.size();
      }
      sync_later = safety == Safety::synced && bytes >= worth_a_thread;
      // All memory first: what is written has to be answered.
      if (sync_later) unsynced_.items.reserve(receipts_);
      first = store_->append(batches_, sync_later ? Safety::written : safety);
    } catch (...) {
      if (refuse_waiting(window, caught_error)) throw;
      return;
    }
    answer(window, first, sync_later);
    if (sync_later) syncs_->add(std::exchange(unsynced_, {}));
  }

 private:
  /// Of a group that large it takes longer to write the next one than to wake a thread.
  static constexpr std::size_t worth_a_thread = 16'384;

  struct Row {
    std::string body;
    std::uint32_t items = 0;
  };

  /// The window's rows, and how safe the safest of its items has to be.
  Safety gather(Window<Entry<T>>& window) {
    cut_ = 0;
    ends_.clear();  // an attempt that failed may have left something
    bytes_.clear();
    receipts_ = 0;
    Safety safety = Safety::written;
    const ReceiptState* last = nullptr;
    for (std::size_t i = 0; i < window.size(); ++i) {
      Entry<T>& entry = window[i];
      if (entry.fate == Entry<T>::Fate::told || !encode(window, i)) continue;
      const ReceiptState* receipt = entry.receipt.state();
      if (receipt == std::exchange(last, receipt) || receipt == nullptr) continue;
      safety = std::max(safety, receipt->safety);
      ++receipts_;
    }
    finish_row();
    return safety;
  }

  /// False: it was refused for good, by its codec.
  bool encode(Window<Entry<T>>& window, std::size_t i) {
    const std::size_t before = bytes_.size();
    try {
      codec_.encode(std::as_const(window[i].item), bytes_);
      const std::size_t size = bytes_.size() - before;
      if (size > BatchBody::max_bytes)
        throw UsageError(fmt::format("append: an item of {} bytes; a store takes at most {}", size,
                                     BatchBody::max_bytes));
    } catch (...) {
      bytes_.resize(std::min(before, bytes_.size()));
      window.reject(i, std::current_exception());
      if (!refuse(window[i], [] { return std::current_exception(); }))
        window[i].fate = Entry<T>::Fate::rejected;
      return false;
    }
    if (before > 0 && (bytes_.size() > max_bytes_ || ends_.size() == max_batch_items)) {
      last_.assign(bytes_, before);
      bytes_.resize(before);
      finish_row();
      bytes_.swap(last_);
    }
    ends_.push_back(static_cast<std::uint32_t>(bytes_.size()));
    window[i].fate = Entry<T>::Fate::open;  // an earlier attempt's codec may have thrown
    return true;
  }

  void finish_row() {
    if (ends_.empty()) return;
    if (rows_.size() == cut_) rows_.emplace_back();
    rows_[cut_].items = static_cast<std::uint32_t>(ends_.size());
    BatchBody::write(ends_, bytes_, rows_[cut_].body);
    ++cut_;
    ends_.clear();
    bytes_.clear();
  }

  /// Their receipts, by runs that share one; or notes those that wait for a sync.
  void answer(Window<Entry<T>>& window, std::int64_t batch, bool sync_later) {
    const auto answer = [&](ReceiptState& state, std::size_t run, Position last) {
      if (sync_later && state.safety == Safety::synced)
        unsynced_.items.emplace_back(state, run, last);
      else
        state.answer(run, last, nullptr);
    };
    std::size_t k = 0;
    std::uint32_t index = 0;
    ReceiptState* state = nullptr;
    std::size_t run = 0;
    Position last = -1;
    for (Entry<T>& entry : window) {
      if (entry.fate != Entry<T>::Fate::open) continue;
      if (index == rows_[k].items) {
        ++k;
        ++batch;
        index = 0;
      }
      if (entry.receipt.state() != state) {
        if (run > 0) answer(*state, run, last);
        state = entry.receipt.state();
        run = 0;
      }
      if (entry.receipt.take() != nullptr) ++run;
      last = position_of(batch, index++);
    }
    if (run > 0) answer(*state, run, last);
  }

  /// Tells whoever waits; false if nobody does.
  template <class Error>
  static bool refuse(Entry<T>& entry, const Error& error) {
    ReceiptState* state = entry.receipt.take();
    if (state == nullptr) return false;
    entry.fate = Entry<T>::Fate::told;
    state->answer(1, -1, error());
    return true;
  }
  /// True if some are left for which nobody waits.
  template <class Error>
  static bool refuse_waiting(Window<Entry<T>>& window, const Error& error) {
    bool some_left = false;
    for (Entry<T>& entry : window) {
      if (!refuse(entry, error)) some_left = some_left || entry.fate == Entry<T>::Fate::open;
    }
    return some_left;
  }

  std::shared_ptr<S> store_;
  std::shared_ptr<GroupSync<S>> syncs_;
  C codec_;
  std::size_t max_bytes_;

  // One group; kept for their memory.
  std::vector<std::uint32_t> ends_;
  std::string bytes_;
  std::string last_;
  std::vector<Row> rows_;
  std::size_t cut_ = 0;  // so many of them are filled
  std::vector<NewBatch> batches_;
  std::size_t receipts_ = 0;  // at most so many
  typename GroupSync<S>::Group unsynced_;
};

}  // namespace microbatch::inline v0_1::detail
