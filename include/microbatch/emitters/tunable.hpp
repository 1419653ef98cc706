#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>

namespace microbatch::inline v0_1::detail {

/// A limit that can be changed while an emitter runs. Copies of an emitter share it: keep one, hand
/// the other to streaming().
template <class V>
class Tunable {
 public:
  explicit Tunable(V value) : shared_(std::make_shared<Shared>(value)) {}

  // relaxed: a limit stands for itself; the retune call is what makes the engine look again.
  [[nodiscard]] V get() const noexcept { return shared_->value.load(std::memory_order_relaxed); }
  void set(V value) {
    shared_->value.store(value, std::memory_order_relaxed);
    std::lock_guard lock(shared_->mutex);
    if (shared_->changed) shared_->changed();
  }
  void on_change(std::function<void()> f) {
    std::lock_guard lock(shared_->mutex);
    shared_->changed = std::move(f);
  }

 private:
  struct Shared {
    explicit Shared(V v) : value(v) {}
    std::atomic<V> value;
    std::mutex mutex;
    std::function<void()> changed;
  };
  std::shared_ptr<Shared> shared_;
};

}  // namespace microbatch::inline v0_1::detail
