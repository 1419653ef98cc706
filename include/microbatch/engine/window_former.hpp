#pragma once

#include <algorithm>
#include <exception>
#include <memory>
#include <new>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "../delivery/batch.hpp"
#include "../stream_core.hpp"
#include "emitter_handle.hpp"

namespace microbatch::inline v0_1::detail {

/// From the lanes to a window: sweeps what the emitter wants to see, asks it, and fills a batch.
/// Until there is one to fill, it takes no memory: there may be thousands of idle streams.
///
/// Threads: whoever holds the token.
template <class T>
class WindowFormer {
 public:
  WindowFormer(StreamCore<T>& core, std::unique_ptr<EmitterHandle<T>> emitter)
      : core_(core), emitter_(std::move(emitter)), pending_(core.backlog) {}

  /// The first verdict, on an empty or already filled stream. ConfigError where it could never be
  /// ready.
  void start(TimePoint now) {
    opened_ = now;
    core_.lanes.refresh();
    core_.lanes.sweep(core_.backlog, 0, never);  // learns the next arrival
    verdict_ = emitter_->window_ready(pending_, now);
    const std::size_t capacity = core_.options().capacity;
    if (pending_.empty() && verdict_.at == never && verdict_.at_items != npos &&
        verdict_.at_items > capacity)
      throw ConfigError(
          fmt::format("emitter: it waits for {} items, but the stream's capacity is {}; expected "
                      "at most the capacity",
                      verdict_.at_items, capacity));
  }

  [[nodiscard]] EmitterHandle<T>& emitter() noexcept { return *emitter_; }
  [[nodiscard]] const Pending<T>& pending() const noexcept { return pending_; }
  [[nodiscard]] const Readiness& verdict() const noexcept { return verdict_; }

  /// The last answer was an error: only something new is a reason to ask again.
  [[nodiscard]] bool erred() const noexcept { return erred_; }

  /// The next window by the emitter's own will, in a batch of `batches`; null when it wants to
  /// wait.
  template <class Batches>
  Batch<T>* form(TimePoint now, Batches& batches) {
    look(now);
    return verdict_.ready ? fill(now, verdict_, batches) : nullptr;
  }

  /// After form() said no: a partial window, for `reason`. Null when there is nothing to emit.
  template <class Batches>
  Batch<T>* form_partial(TimePoint now, Reason reason, Batches& batches) {
    if (pending_.total() == 0) return nullptr;
    erred_ = false;
    Readiness wanted = guarded([&] { return emitter_->flush(pending_, now, verdict_.limit); });
    if (erred_ && reason == Reason::close) wanted.ready = true;  // as if it had no flush()
    if (!wanted.ready) return nullptr;
    wanted.limit = std::min(wanted.limit, verdict_.limit);
    wanted.reason = reason;
    wanted.ready = false;  // tells query and on_emit that the emitter's own time has not come
    return fill(now, wanted, batches);
  }

  /// Everything that is swept leaves through `out`, in order; the emitter is not asked again.
  template <class F>
  void take_rest(F&& each) {
    while (ItemBuffer<T>* buffer = core_.backlog.oldest()) {
      each(buffer->slots(), buffer->slot(0));
      buffer->slots().destroy(buffer->slot(0), 1);
      core_.backlog.forget_oldest(*buffer);
    }
    scratch_.reset();
  }

 private:
  struct Scratch {
    Draft<T> draft;
    ItemBuffer<T> discarded;
  };

  /// Sweeps and asks until nothing more comes that could belong to the next window.
  void look(TimePoint now) {
    erred_ = false;
    sweep(now);
    do {
      verdict_ = guarded([&] { return emitter_->window_ready(pending_, now); });
      if (auto error = std::exchange(verdict_.error, nullptr))
        core_.settlement.report(BackgroundError::Where::emitter, error);
    } while (sweep(now));
    if (!verdict_.ready && verdict_.at <= now) {
      core_.settlement.report(
          BackgroundError::Where::emitter,
          std::make_exception_ptr(UsageError(
              "emitter: not ready, and Readiness::at lies in the past; expected a later time")));
      verdict_.at = later(now, std::chrono::milliseconds(100));
    }
  }

  /// True if something changed that the emitter should see.
  bool sweep(TimePoint now) {
    const std::size_t there = pending_.size();
    std::size_t came = 0;
    if (there < verdict_.limit) {
      came = core_.lanes.sweep(core_.backlog, verdict_.limit - there, verdict_.before);
      if (came > 0) return true;
    }
    // Nothing more below `before`, as far as one can see: seal the lanes, and it is so.
    const TimePoint before = verdict_.before;
    if (before == never || before > now || core_.backlog.complete_before >= before ||
        there >= verdict_.limit)
      return false;
    core_.lanes.barrier();  // a lane that stamped before `now` is one that refresh() knows
    core_.lanes.refresh();
    core_.lanes.seal();
    came = core_.lanes.sweep(core_.backlog, verdict_.limit - there, before);
    if (there + came < verdict_.limit) core_.backlog.complete_before = before;
    return true;
  }

  template <class Batches>
  Batch<T>* fill(TimePoint now, const Readiness& readiness, Batches& batches) {
    Batch<T>& batch = batches.spare();
    if (!scratch_) scratch_ = std::make_unique<Scratch>();
    auto& [draft, discarded] = *scratch_;
    try {
      draft.begin(core_.backlog);
      emitter_->query(pending_, draft, readiness);
      if (draft.empty() && !readiness.even_if_empty && !draft.discards()) return not_ready();
      emitter_->on_emit(draft, readiness);
      batch.copies = draft.carry_out(batch.items, discarded);
    } catch (const std::bad_alloc&) {
      if (batch.items.empty()) throw;
      core_.settlement.report(BackgroundError::Where::engine, std::current_exception());
    } catch (...) {
      core_.settlement.report(BackgroundError::Where::emitter, std::current_exception());
      if (batch.items.empty()) {
        if (readiness.reason != Reason::close) return not_ready();
        take_without_emitter(readiness.limit, batch.items);  // the last chance for these items
      }
    }
    if (!discarded.empty()) {
      core_.settlement.settle(discarded.slots(), discarded.slot(0), discarded.size(),
                              Outcome::dropped, nullptr, DropCause::discarded);
      discarded.clear();
    }
    if (batch.items.empty() && !readiness.even_if_empty) return nullptr;
    const auto bounds = draft.bounds().value_or(std::pair{opened_, now});
    opened_ = now;
    batch.info.reason = readiness.reason;
    batch.info.opened_at = bounds.first;
    batch.info.closed_at = bounds.second;
    batch.info.event_bounds = draft.event_bounds();
    std::swap(batch.info.key, draft.key());
    batch.info.oldest_at = oldest(batch.items).value_or(bounds.first);
    return &batch;
  }

  void take_without_emitter(std::size_t limit, ItemBuffer<T>& out) {
    if (!pending_.empty())
      core_.backlog.take_front(std::min(limit, pending_.size()), out);
    else if (ItemBuffer<T>* bucket = core_.backlog.oldest()) {
      core_.backlog.bucketed -= bucket->size();
      out.swap(*bucket);
    }
  }

  [[nodiscard]] std::optional<TimePoint> oldest(const ItemBuffer<T>& items) const noexcept {
    if (!core_.backlog.stamped || items.empty()) return {};
    const TimePoint* stamps = items.slots().stamps.get() + items.slot(0);
    return *std::min_element(stamps, stamps + items.size());
  }

  Batch<T>* not_ready() noexcept {
    erred_ = true;
    verdict_.ready = false;
    verdict_.at = never;
    verdict_.at_items = pending_.total() + 1;
    return nullptr;
  }

  /// An emitter that throws is asked again when something new arrives, and not before. Want of
  /// memory is not the emitter's: the loop comes back to it.
  template <class F>
  Readiness guarded(F&& ask) {
    try {
      return ask();
    } catch (const std::bad_alloc&) {
      throw;
    } catch (...) {
      core_.settlement.report(BackgroundError::Where::emitter, std::current_exception());
      erred_ = true;
      return {.limit = verdict_.limit, .at_items = pending_.total() + 1};
    }
  }

  StreamCore<T>& core_;
  std::unique_ptr<EmitterHandle<T>> emitter_;
  Pending<T> pending_;
  std::unique_ptr<Scratch> scratch_;  // made with the first window
  Readiness verdict_;
  TimePoint opened_{};
  bool erred_ = false;
};

}  // namespace microbatch::inline v0_1::detail
