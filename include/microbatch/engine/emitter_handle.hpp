#pragma once

#include <algorithm>
#include <functional>
#include <memory>
#include <utility>

#include "../concepts/emitter.hpp"

namespace microbatch::inline v0_1::detail {

/// An emitter with its type erased: a few virtual calls per window, none per item. Fills in what
/// the emitter leaves out: by default a flush wants what is in front, and the front is what leaves.
template <class T>
class EmitterHandle {
 public:
  virtual ~EmitterHandle() = default;
  [[nodiscard]] virtual Readiness window_ready(Pending<T>& pending, TimePoint now) = 0;
  [[nodiscard]] virtual Readiness flush(Pending<T>& pending, TimePoint now, std::size_t limit) = 0;
  virtual void query(Pending<T>& pending, Draft<T>& draft, const Readiness& readiness) = 0;
  virtual void on_emit(Draft<T>& draft, const Readiness& readiness) = 0;
  virtual void on_commit(Window<T>& window) = 0;
  virtual void on_undo(Window<T>& window) = 0;
  virtual void on_retune(std::function<void()> f) = 0;
};

template <class T, class E>
class EmitterOf final : public EmitterHandle<T> {
 public:
  explicit EmitterOf(E emitter) : emitter_(std::move(emitter)) {}

  Readiness window_ready(Pending<T>& pending, TimePoint now) override {
    return emitter_.window_ready(pending, now);
  }
  Readiness flush(Pending<T>& pending, TimePoint now, std::size_t limit) override {
    if constexpr (FlushingEmitter<E, T>) return emitter_.flush(pending, now);
    return {.ready = pending.total() > 0, .limit = limit};
  }
  void query(Pending<T>& pending, Draft<T>& draft, const Readiness& readiness) override {
    if constexpr (QueryingEmitter<E, T>)
      emitter_.query(pending, draft, readiness);
    else
      draft.take_front(std::min(readiness.limit, pending.size()));
  }
  void on_emit(Draft<T>& draft, const Readiness& readiness) override {
    if constexpr (EmitObserver<E, T>) emitter_.on_emit(draft, readiness);
  }
  void on_commit(Window<T>& window) override {
    if constexpr (CommitObserver<E, T>) emitter_.on_commit(window);
  }
  void on_undo(Window<T>& window) override {
    if constexpr (UndoObserver<E, T>) emitter_.on_undo(window);
  }
  void on_retune(std::function<void()> f) override {
    if constexpr (Retunable<E>) emitter_.on_retune(std::move(f));
  }

 private:
  E emitter_;
};

}  // namespace microbatch::inline v0_1::detail
