#pragma once

#include <fmt/format.h>

#include <cstddef>
#include <exception>
#include <memory>
#include <mutex>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "../concepts/storage.hpp"
#include "../core/acknowledgement.hpp"
#include "../core/thread_role.hpp"
#include "../streaming.hpp"
#include "receipt_state.hpp"

namespace microbatch::inline v0_1::detail {

/// Whatever is there, at most n: the emitter of the group commit.
class WhatIsThere {
 public:
  explicit WhatIsThere(std::size_t most) noexcept : most_(most) {}
  template <class T>
  [[nodiscard]] Readiness window_ready(Pending<T>& pending, TimePoint) const noexcept {
    return {.ready = !pending.empty(), .reason = Reason::count, .limit = most_, .at_items = 1};
  }

 private:
  std::size_t most_;
};

/// Items of one receipt that are written and not yet synced. Destroyed before that, it answers so.
class UnsyncedItems {
 public:
  UnsyncedItems(ReceiptState& state, std::size_t items, Position last) noexcept
      : state_(&state), items_(items), last_(last) {}
  UnsyncedItems(UnsyncedItems&& other) noexcept
      : state_(std::exchange(other.state_, nullptr)), items_(other.items_), last_(other.last_) {}
  UnsyncedItems& operator=(UnsyncedItems&& other) noexcept {
    std::swap(state_, other.state_);
    std::swap(items_, other.items_);
    std::swap(last_, other.last_);
    return *this;
  }
  ~UnsyncedItems() {
    if (state_ == nullptr) return;
    answer(-1,
           std::make_exception_ptr(NotDelivered(
               Outcome::abandoned, "append: closed before the item was synced; it is written")));
  }

  // Once; what comes after that does nothing.
  void answer() { answer(last_, nullptr); }
  void refuse(std::exception_ptr error) { answer(-1, std::move(error)); }

 private:
  void answer(Position last, std::exception_ptr error) {
    if (ReceiptState* state = std::exchange(state_, nullptr))
      state->answer(items_, last, std::move(error));
  }

  ReceiptState* state_;
  std::size_t items_;
  Position last_;
};

/// The second half of the group commit, for large groups: while the next one is being written, this
/// one is synced, and its receipts are answered. A sync covers all that was written before, so
/// whatever groups are there share one.
///
/// Its thread is made with the first group. A stage that was left behind at a close works on
/// without this object, so its callback has the store alone.
template <class S>
class GroupSync {
 public:
  struct Group {
    std::vector<UnsyncedItems> items{};

    Group() = default;
    Group(Group&&) noexcept = default;  // a vector alone would say that it can be copied
    Group& operator=(Group&&) noexcept = default;
  };

  GroupSync(std::shared_ptr<S> store, AnyExecutor executor)
      : store_(std::move(store)), executor_(std::move(executor)) {}

  /// They are written. By one thread at a time.
  void add(Group group) {
    try {
      if (stage().groups.try_append(std::move(group)) == AppendResult::accepted) return;
    } catch (...) {  // no memory, no thread
    }
    sync(*store_, {&group, 1});  // so there are never many
  }

  /// UsageError where a receipt's then() asks for what would wait for it.
  void check_may_wait(std::string_view what) const {
    if (this_thread_role().inside_callback_of(store_.get()))
      throw UsageError(fmt::format(
          "DurableStream::{}: called from inside a receipt's then(), which it would wait for",
          what));
  }
  void flush() {
    if (Stage* there = made()) there->consumer.flush();
  }
  /// False: it took longer than that, and what was not synced was told so.
  bool close(Duration timeout) {
    Stage* there = made();
    return there == nullptr || !there->consumer.close(timeout).timed_out;
  }

 private:
  static constexpr std::size_t most_groups = 64;

  struct Stage {
    explicit Stage(GroupSync& sync)
        : consumer(streaming(groups, WhatIsThere(most_groups),
                             [store = sync.store_](std::span<Group> window) {
                               const InsideCallback inside(store.get());
                               GroupSync::sync(*store, window);
                             },
                             {.executor = sync.executor_})) {}
    Stream<Group> groups{{.capacity = most_groups}};
    Consumer<Group> consumer;
  };

  Stage& stage() {
    std::lock_guard lock(making_);
    if (!stage_) stage_ = std::make_unique<Stage>(*this);
    return *stage_;
  }
  Stage* made() {
    std::lock_guard lock(making_);
    return stage_.get();
  }

  static void sync(S& store, std::span<Group> groups) {
    const auto each = [&](auto answer) {
      for (Group& group : groups)
        for (UnsyncedItems& items : group.items) answer(items);
    };
    try {
      store.sync();
    } catch (...) {
      return each([](UnsyncedItems& items) { items.refuse(caught_error()); });
    }
    each([](UnsyncedItems& items) { items.answer(); });
  }

  const std::shared_ptr<S> store_;
  const AnyExecutor executor_;
  std::mutex making_;
  std::unique_ptr<Stage> stage_;
};

}  // namespace microbatch::inline v0_1::detail
