#pragma once

#include <concepts>
#include <cstddef>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>

namespace microbatch::inline v0_1 {

/// A piece of work for an executor: callable once, movable, not copyable. Small callables live
/// inside it, so handing a window to an executor allocates nothing.
///
/// Errors: what the callable throws comes out of operator(). Calling an empty or moved-from task
/// does nothing.
class Task {
 public:
  Task() noexcept = default;

  template <class F>
    requires(!std::same_as<std::decay_t<F>, Task> && std::invocable<std::decay_t<F>&>)
  Task(F&& f) {  // NOLINT(google-explicit-constructor): a lambda is a task
    using Function = std::decay_t<F>;
    if constexpr (fits<Function>) {
      ::new (static_cast<void*>(storage_)) Function(std::forward<F>(f));
      kind_ = &inline_kind<Function>;
    } else {
      ::new (static_cast<void*>(storage_)) Function*(new Function(std::forward<F>(f)));
      kind_ = &heap_kind<Function>;
    }
  }

  Task(Task&& other) noexcept : kind_(std::exchange(other.kind_, nullptr)) {
    if (kind_ != nullptr) kind_->relocate(other.storage_, storage_);
  }
  Task& operator=(Task&& other) noexcept {
    if (this != &other) {
      reset();
      kind_ = std::exchange(other.kind_, nullptr);
      if (kind_ != nullptr) kind_->relocate(other.storage_, storage_);
    }
    return *this;
  }
  ~Task() { reset(); }

  void operator()() {
    if (kind_ != nullptr) kind_->call(storage_);
  }

  [[nodiscard]] explicit operator bool() const noexcept { return kind_ != nullptr; }

 private:
  struct Kind {
    void (*call)(void*);
    void (*relocate)(void* from, void* to) noexcept;
    void (*destroy)(void*) noexcept;
  };

  static constexpr std::size_t room = 4 * sizeof(void*);

  template <class F>
  static constexpr bool fits =
      sizeof(F) <= room && alignof(F) <= alignof(void*) && std::is_nothrow_move_constructible_v<F>;

  template <class F>
  static constexpr Kind inline_kind{[](void* at) { (*static_cast<F*>(at))(); },
                                    [](void* from, void* to) noexcept {
                                      ::new (to) F(std::move(*static_cast<F*>(from)));
                                      static_cast<F*>(from)->~F();
                                    },
                                    [](void* at) noexcept { static_cast<F*>(at)->~F(); }};

  template <class F>
  static constexpr Kind heap_kind{
      [](void* at) { (**static_cast<F**>(at))(); },
      [](void* from, void* to) noexcept { ::new (to) F*(*static_cast<F**>(from)); },
      [](void* at) noexcept { delete *static_cast<F**>(at); }};

  void reset() noexcept {
    if (kind_ != nullptr) std::exchange(kind_, nullptr)->destroy(storage_);
  }

  alignas(void*) std::byte storage_[room];
  const Kind* kind_ = nullptr;
};

}  // namespace microbatch::inline v0_1
