#pragma once

#include <concepts>
#include <cstdint>
#include <functional>

#include "../core/clock.hpp"
#include "../core/draft.hpp"
#include "../core/pending.hpp"
#include "../core/readiness.hpp"
#include "../core/window.hpp"

namespace microbatch::inline v0_1 {

/// Where an emitter has a meaning as a part of others; default: both.
enum class Combines : std::uint8_t {
  both,
  any_of,  ///< while it waits, nothing that all_of's other parts wait for could come
  none,    ///< it chooses its items itself
};

/// The strategy that says when pending items become a window, and which. One function is required:
///
///   Readiness window_ready(Pending<T>& pending, TimePoint now);
///       the verdict on what is pending now. Asking twice changes nothing: an emitter may learn
///       from what it sees (a cursor, sums), it may not count how often it was asked.
///
/// The others are refinements, used where they exist:
///
///   Readiness flush(pending, now)             a partial window is wanted: what would it be?
///   void query(pending, draft, readiness)     which items, in what order; default: the front
///   void on_emit(draft, readiness)            the window leaves now: a grid advances here
///   void on_commit(window)                    all its items are delivered or dead-lettered
///   void on_undo(window)                      some were handed back or abandoned
///   static constexpr bool needs_stamps        true: the stream stamps arrivals
///   static constexpr bool needs_weights       true: the stream must have a weight function
///   static constexpr bool overlaps            true: its windows share items and commit in order
///   static constexpr Combines combines        where it can be a part of any_of and all_of
///   static constexpr bool takes_marks         it reads (and forgets) Pending::marks
///   static constexpr bool narrows             it relies on Readiness::before: not for by_key
///   void on_retune(std::function<void()> f)   a limit can change while running; call f then
///
/// Exactly one of on_commit and on_undo is called, once per window, at its end. None of the
/// functions is ever called by two threads at once, so an emitter needs no locks; none may call the
/// stream.
///
/// Models: CountWindow, FixedTimeWindow, RelaxedTimeWindow, PeriodWindow, MaxAgeWindow,
/// WeightWindow, PredicateWindow, any_of, all_of. The smallest one of your own:
///
///     struct Pairs {
///       template <class T>
///       microbatch::Readiness window_ready(microbatch::Pending<T>& pending, microbatch::TimePoint)
///       {
///         return {.ready = pending.size() >= 2, .reason = microbatch::Reason::custom,
///                 .limit = 2, .at_items = 2};
///       }
///     };
template <class E, class T>
concept WindowEmitter =
    std::move_constructible<E> && requires(E& emitter, Pending<T>& pending, TimePoint now) {
      { emitter.window_ready(pending, now) } -> std::same_as<Readiness>;
    };

namespace detail {

template <class E, class T>
concept FlushingEmitter = requires(E& e, Pending<T>& pending, TimePoint now) {
  { e.flush(pending, now) } -> std::same_as<Readiness>;
};
template <class E, class T>
concept QueryingEmitter =
    requires(E& e, Pending<T>& pending, Draft<T>& draft, const Readiness& readiness) {
      e.query(pending, draft, readiness);
    };
template <class E, class T>
concept EmitObserver = requires(E& e, Draft<T>& draft, const Readiness& r) { e.on_emit(draft, r); };
template <class E, class T>
concept CommitObserver = requires(E& e, Window<T>& window) { e.on_commit(window); };
template <class E, class T>
concept UndoObserver = requires(E& e, Window<T>& window) { e.on_undo(window); };
template <class E>
concept Retunable = requires(E& e, std::function<void()> f) { e.on_retune(f); };
template <class E>
concept StampingEmitter = requires { requires E::needs_stamps; };
template <class E>
concept WeighingEmitter = requires { requires E::needs_weights; };
template <class E>
concept OverlappingEmitter = requires { requires E::overlaps; };
template <class E>
concept NarrowingEmitter = requires { requires E::narrows; };
template <class E>
concept MarkTakingEmitter = requires { requires E::takes_marks; };

/// One that learns nothing from what it sees: a const window_ready, and nothing else that could.
/// One of them serves all keys.
template <class E, class T>
concept StatelessEmitter =
    !QueryingEmitter<E, T> && !EmitObserver<E, T> && !CommitObserver<E, T> && !UndoObserver<E, T> &&
    requires(const E& emitter, Pending<T>& pending, TimePoint now) {
      { emitter.window_ready(pending, now) } -> std::same_as<Readiness>;
    };

template <class E>
consteval Combines combines_as() {
  if constexpr (requires { E::combines; })
    return E::combines;
  else
    return Combines::both;
}

}  // namespace detail
}  // namespace microbatch::inline v0_1
