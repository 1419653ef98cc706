#pragma once

#include <algorithm>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <ranges>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include "../delivery/failure_policy.hpp"
#include "../delivery/handler.hpp"
#include "../delivery/put_plan.hpp"
#include "durable_window.hpp"
#include "options.hpp"
#include "term.hpp"

namespace microbatch::inline v0_1::detail {

/// A callback's result on its way through the sink, and what commits with it.
template <class S, class R>
struct Committing {
  struct Nothing {};
  std::optional<std::conditional_t<std::is_void_v<R>, Nothing, R>> value{};
  std::vector<ItemRun> runs{};
  typename S::Transaction transaction{};
  PutPlan puts{};  ///< what the user's sink has not taken yet
  bool committed = false;
};

/// The callback of a term's core consumer: the user's, then the commit, unless that has to wait for
/// a sink or for the windows before this one.
template <class T, Storage S, Codec<T> C, class F>
class Committed {
 public:
  using R = DurableReturned<T, S, F>;
  using Result = Committing<S, R>;

  Committed(std::shared_ptr<Term<T, S, C>> term, std::shared_ptr<F> callback,
            const FailurePolicy& policy, const DeliveryOptions& delivery, bool commit_later)
      : term_(std::move(term)),
        callback_(std::move(callback)),
        policy_(policy),
        lease_(delivery.lease),
        lends_(delivery.lend),
        commit_later_(commit_later) {}

  Result operator()(Window<T>& window) {
    Result result;
    result.runs = TermOf::runs_of(window, {});
    try {
      term_->check();
      if (lends_ && term_->lend(result.runs, lease_, window.stop_token())) return result;
      std::vector<bool> rejected;
      call(window, rejected, result);
      if (!rejected.empty()) result.runs = TermOf::runs_of(window, rejected);
      if (!commit_later_) term_->commit(result.runs, result.transaction);
    } catch (const StorageError&) {  // no attempt of the callback's
      throw;
    } catch (...) {
      // A transient failure says nothing about the items, so it is not held against them.
      if (policy_.classified(std::current_exception()) == Failure::poison)
        term_->record_failure(result.runs);
      throw;
    }
    return result;
  }

 private:
  using TermOf = Term<T, S, C>;

  void call(Window<T>& window, std::vector<bool>& rejected, Result& result) {
    std::uint32_t earlier = 0;
    for (std::size_t i = 0; i < window.size(); ++i)
      earlier = std::max(earlier, term_->earlier_attempts(window.origin(i).offset));
    DurableWindow<T, S> durable(window, result.transaction, rejected, earlier);
    const typename TermOf::WithCallback now(*term_, result.runs);
    if constexpr (std::is_void_v<R>)
      call_durable<T, S>(*callback_, durable);
    else
      result.value.emplace(call_durable<T, S>(*callback_, durable));
    if constexpr (ManyResults<R>)
      result.puts.start(std::ranges::size(*result.value), 0, {});
    else
      result.puts.start(1, 0, {});
  }

  std::shared_ptr<Term<T, S, C>> term_;
  std::shared_ptr<F> callback_;
  FailurePolicy policy_;
  Duration lease_;
  bool lends_;
  bool commit_later_;
};

/// The sink of a term's core consumer: the user's, then the commit. Each is repeated by itself.
template <class T, Storage S, Codec<T> C, class R>
class CommitSink {
 public:
  CommitSink(std::shared_ptr<Term<T, S, C>> term, AnySink<typename ResultOf<R>::type> sink)
      : term_(std::move(term)), sink_(std::move(sink)) {}

  void put(std::span<const Committing<S, R>> results) {
    for (const auto& kept : results) {
      auto& result = const_cast<Committing<S, R>&>(kept);  // the engine's own, kept for a retry
      if constexpr (!std::is_void_v<R>)
        if (sink_) put_what_is_left(result);
      if (!result.committed) term_->commit(result.runs, result.transaction);
      result.committed = true;
    }
  }
  void close() { sink_.close(); }

 private:
  /// What a sink that fails in part has taken is not put again. No item becomes a dead letter here:
  /// the window is committed as a whole, with what is in its transaction.
  void put_what_is_left(Committing<S, R>& result) {
    result.puts.put([&](PutPlan::Run run) {
      if constexpr (ManyResults<R>) {
        using V = std::ranges::range_value_t<R>;
        return sink_.put(std::span<const V>(std::ranges::data(*result.value) + run.from, run.n));
      } else {
        return sink_.put(std::span<const R>(&*result.value, run.n));
      }
    });
    std::vector<Rejection> nobody;
    const auto again = [](const std::exception_ptr&) { return true; };
    if (auto error = result.puts.sort_out(again, nobody)) std::rethrow_exception(error);
  }

  std::shared_ptr<Term<T, S, C>> term_;
  AnySink<typename ResultOf<R>::type> sink_;
};

}  // namespace microbatch::inline v0_1::detail
