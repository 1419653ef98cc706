#pragma once

#include <algorithm>
#include <functional>
#include <tuple>
#include <utility>

#include "../concepts/emitter.hpp"

namespace microbatch::inline v0_1 {
namespace detail {

/// What any_of and all_of share: every part is asked every time, every part hears of every window,
/// and the smallest limit holds. At most one part may choose items itself (query).
template <class... Parts>
class Combined {
 public:
  static_assert((true && ... && (combines_as<Parts>() != Combines::none)),
                "microbatch: this emitter cannot be a part of any_of or all_of: it chooses itself "
                "which items leave (by event time, by key, or overlapping), so no other part can "
                "limit or hasten it; by_key(key, any_of(...)) combines within each key");

  static constexpr bool needs_stamps = (false || ... || StampingEmitter<Parts>);

  static constexpr bool needs_weights = (false || ... || WeighingEmitter<Parts>);

  static constexpr bool narrows = (false || ... || NarrowingEmitter<Parts>);

  static constexpr Combines combines =
      (true && ... && (combines_as<Parts>() == Combines::both)) ? Combines::both : Combines::any_of;

  explicit Combined(Parts... parts) : parts_(std::move(parts)...) {}

  template <class T>
    requires(false || ... || QueryingEmitter<Parts, T>)
  void query(Pending<T>& pending, Draft<T>& draft, const Readiness& readiness) {
    static_assert((0 + ... + (QueryingEmitter<Parts, T> ? 1 : 0)) == 1,
                  "microbatch: only one part of any_of/all_of may choose items with query()");
    for_each([&]<class P>(P& part) {
      if constexpr (QueryingEmitter<P, T>) part.query(pending, draft, readiness);
    });
  }
  template <class T>
    requires(false || ... || FlushingEmitter<Parts, T>)
  Readiness flush(Pending<T>& pending, TimePoint now) {
    Readiness all;
    std::size_t limit = npos;
    for_each([&]<class P>(P& part) {
      if constexpr (FlushingEmitter<P, T>) all = part.flush(pending, now);
      limit = std::min(limit, part.window_ready(pending, now).limit);
    });
    all.limit = std::min(all.limit, limit);
    return all;
  }
  template <class T>
    requires(false || ... || EmitObserver<Parts, T>)
  void on_emit(Draft<T>& draft, const Readiness& readiness) {
    for_each([&]<class P>(P& part) {
      if constexpr (EmitObserver<P, T>) part.on_emit(draft, readiness);
    });
  }
  template <class T>
    requires(false || ... || CommitObserver<Parts, T>)
  void on_commit(Window<T>& window) {
    for_each([&]<class P>(P& part) {
      if constexpr (CommitObserver<P, T>) part.on_commit(window);
    });
  }
  template <class T>
    requires(false || ... || UndoObserver<Parts, T>)
  void on_undo(Window<T>& window) {
    for_each([&]<class P>(P& part) {
      if constexpr (UndoObserver<P, T>) part.on_undo(window);
    });
  }
  void on_retune(const std::function<void()>& f) {
    for_each([&]<class P>(P& part) {
      if constexpr (Retunable<P>) part.on_retune(f);
    });
  }

 protected:
  template <class F>
  void for_each(F&& f) {
    std::apply([&](auto&... part) { (f(part), ...); }, parts_);
  }
  template <class F>
  void for_each(F&& f) const {
    std::apply([&](const auto&... part) { (f(part), ...); }, parts_);
  }

  std::tuple<Parts...> parts_;
};

/// Folds one part's wishes for limits, wake-ups and bounds into the whole.
inline void narrow(Readiness& whole, const Readiness& part, bool waiting_for_it) noexcept {
  whole.limit = std::min(whole.limit, part.limit);
  whole.before = std::min(whole.before, part.before);
  if (!whole.error) whole.error = part.error;
  if (!waiting_for_it) return;
  whole.at = std::min(whole.at, part.at);
  whole.at_items = std::min(whole.at_items, part.at_items);
}

template <class... Parts>
class AnyOf : public Combined<Parts...> {
 public:
  using Combined<Parts...>::Combined;

  template <class T>
  Readiness window_ready(Pending<T>& pending, TimePoint now) {
    return ask(*this, pending, now);
  }
  template <class T>
    requires(true && ... && StatelessEmitter<Parts, T>)
  Readiness window_ready(Pending<T>& pending, TimePoint now) const {
    return ask(*this, pending, now);
  }

 private:
  template <class Self, class T>
  static Readiness ask(Self& self, Pending<T>& pending, TimePoint now) {
    Readiness whole;
    self.for_each([&](auto& part) {
      const Readiness verdict = part.window_ready(pending, now);
      narrow(whole, verdict, !verdict.ready);
      if (!verdict.ready) return;
      if (!whole.ready) whole.reason = verdict.reason;
      whole.ready = true;
      whole.even_if_empty = whole.even_if_empty || verdict.even_if_empty;
    });
    return whole;
  }
};

template <class... Parts>
class AllOf : public Combined<Parts...> {
  static_assert((true && ... && (combines_as<Parts>() == Combines::both)),
                "microbatch: this emitter cannot be a part of all_of: until its window has left "
                "nothing more comes that another part could wait for; any_of takes it");

 public:
  using Combined<Parts...>::Combined;

  template <class T>
  Readiness window_ready(Pending<T>& pending, TimePoint now) {
    return ask(*this, pending, now);
  }
  template <class T>
    requires(true && ... && StatelessEmitter<Parts, T>)
  Readiness window_ready(Pending<T>& pending, TimePoint now) const {
    return ask(*this, pending, now);
  }

 private:
  template <class Self, class T>
  static Readiness ask(Self& self, Pending<T>& pending, TimePoint now) {
    Readiness whole{.ready = true};
    bool any = false;
    std::size_t missing = 0;  // what the neediest part that waits for items alone waits for
    bool time_helps = false;
    self.for_each([&](auto& part) {
      const Readiness verdict = part.window_ready(pending, now);
      narrow(whole, verdict, !verdict.ready);
      if (verdict.ready) {
        any = true;
        whole.reason = verdict.reason;
        return;
      }
      whole.ready = false;
      if (verdict.at != never)
        time_helps = true;
      else if (verdict.at_items != npos)
        missing = std::max(missing, verdict.at_items);
    });
    // A limit of one part can keep another from ever being ready: what cannot grow leaves.
    if (any && !time_helps && pending.size() >= whole.limit && missing > whole.limit)
      whole.ready = true;
    return whole;
  }
};

}  // namespace detail

/// A window when any of the parts is ready, within the limits of all of them:
/// any_of(CountWindow{1000}, MaxAgeWindow{50ms}) is "1000 items or 50 ms, whichever comes first".
template <class... Parts>
  requires(sizeof...(Parts) > 0)
[[nodiscard]] auto any_of(Parts... parts) {
  return detail::AnyOf<Parts...>(std::move(parts)...);
}

/// A window when all of the parts are ready, within the limits of all of them:
/// all_of(CountWindow{10}, MaxAgeWindow{1s}) is "ten items, but not before the first is 1 s old".
template <class... Parts>
  requires(sizeof...(Parts) > 0)
[[nodiscard]] auto all_of(Parts... parts) {
  return detail::AllOf<Parts...>(std::move(parts)...);
}

}  // namespace microbatch::inline v0_1
