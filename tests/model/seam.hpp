#pragma once

/// The seam of core/atomic.hpp over relacy: each atomic, mutex and condition variable of the
/// library lives in relacy's simulated memory. A model defines MICROBATCH_MODEL as this file.
///
/// The barrier comes in both its forms, one after the other (see harness.hpp): a sequentially
/// consistent fence on both sides; and nothing on the light side, every thread's fence on the heavy
/// one. The first is the stricter judge of the two handshakes, the second of all the rest: there
/// the producers' fences do not order by accident what an acquire and a release should.

#include <memory_resource>  // after relacy it would take relacy's rwlocks for its own
#include <mutex>
#include <source_location>
#include <stdexcept>  // relacy forgets it

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
#include <relacy/relacy.hpp>
#pragma GCC diagnostic pop

// relacy redefines words of the language and of the standard library. Its operators new and delete
// are global functions and stay in force; the macros only add line numbers, and break `::new`.
#undef new
#undef delete
#undef malloc
#undef calloc
#undef realloc
#undef free
#undef assert
#undef errno
#undef memory_order_relaxed
#undef memory_order_consume
#undef memory_order_acquire
#undef memory_order_release
#undef memory_order_acq_rel
#undef memory_order_seq_cst
#undef sched_yield
#undef pthread_yield
#undef futex

#include <atomic>  // std::memory_order

namespace microbatch::inline v0_1::detail {

/// Where in the library it happened, for relacy's history.
[[nodiscard]] inline rl::debug_info at(const std::source_location& here) {
  return {here.function_name(), here.file_name(), here.line()};
}

[[nodiscard]] constexpr rl::memory_order to_relacy(std::memory_order order) {
  switch (order) {
    case std::memory_order_relaxed:
      return rl::mo_relaxed;
    case std::memory_order_consume:
      return rl::mo_consume;
    case std::memory_order_acquire:
      return rl::mo_acquire;
    case std::memory_order_release:
      return rl::mo_release;
    case std::memory_order_acq_rel:
      return rl::mo_acq_rel;
    case std::memory_order_seq_cst:
      break;
  }
  return rl::mo_seq_cst;
}

/// No default orders: the library writes them out.
template <class T>
class Atomic {
  using Order = std::memory_order;
  using Here = std::source_location;

 public:
  Atomic() : Atomic(T()) {}
  Atomic(T value) : value_(value) {}

  T load(Order order, Here here = Here::current()) const {
    return value_.load(to_relacy(order), at(here));
  }
  void store(T value, Order order, Here here = Here::current()) {
    value_.store(value, to_relacy(order), at(here));
  }
  T exchange(T value, Order order, Here here = Here::current()) {
    return value_.exchange(value, to_relacy(order), at(here));
  }
  T fetch_add(T value, Order order, Here here = Here::current()) {
    return value_.fetch_add(value, to_relacy(order), at(here));
  }
  T fetch_sub(T value, Order order, Here here = Here::current()) {
    return value_.fetch_sub(value, to_relacy(order), at(here));
  }
  T fetch_and(T value, Order order, Here here = Here::current()) {
    return value_.fetch_and(value, to_relacy(order), at(here));
  }
  T fetch_or(T value, Order order, Here here = Here::current()) {
    return value_.fetch_or(value, to_relacy(order), at(here));
  }
  bool compare_exchange_weak(T& expected, T desired, Order order, Here here = Here::current()) {
    return value_.compare_exchange_weak(expected, desired, to_relacy(order), at(here));
  }
  bool compare_exchange_weak(T& expected, T desired, Order order, Order failed,
                             Here here = Here::current()) {
    return value_.compare_exchange_weak(expected, desired, to_relacy(order), at(here),
                                        to_relacy(failed), at(here));
  }
  bool compare_exchange_strong(T& expected, T desired, Order order, Here here = Here::current()) {
    return value_.compare_exchange_strong(expected, desired, to_relacy(order), at(here));
  }
  bool compare_exchange_strong(T& expected, T desired, Order order, Order failed,
                               Here here = Here::current()) {
    return value_.compare_exchange_strong(expected, desired, to_relacy(order), at(here),
                                          to_relacy(failed), at(here));
  }

 private:
  rl::atomic<T> value_;
};

class Mutex {
 public:
  void lock() { mutex_.lock($); }
  [[nodiscard]] bool try_lock() { return mutex_.try_lock($); }  // also fails for no reason
  void unlock() { mutex_.unlock($); }

 private:
  rl::mutex mutex_;
};

/// Wakes for no reason, too, under the random scheduler.
class ConditionVariable {
 public:
  void notify_one() { changed_.notify_one($); }
  void notify_all() { changed_.notify_all($); }

  template <class Predicate>
  void wait(std::unique_lock<Mutex>& lock, Predicate done) {
    Unlocked unlocked{*lock.mutex()};
    while (!done()) changed_.wait(unlocked, $);
  }
  /// No time passes in a model: it waits for a change.
  template <class Time, class Predicate>
  bool wait_until(std::unique_lock<Mutex>& lock, const Time&, Predicate done) {
    wait(lock, done);
    return true;
  }

 private:
  struct Unlocked {  // what relacy asks of a mutex
    Mutex& mutex;
    void lock(rl::debug_info_param) { mutex.lock(); }
    void unlock(rl::debug_info_param) { mutex.unlock(); }
  };

  rl::condition_variable changed_;
};

inline bool asymmetric_barrier = false;  ///< set between two searches

[[nodiscard]] inline bool has_asymmetric_barrier() noexcept { return asymmetric_barrier; }
[[nodiscard]] inline bool is_light_barrier_light() noexcept { return asymmetric_barrier; }
inline void light_barrier(bool asymmetric) noexcept {
  if (!asymmetric) rl::atomic_thread_fence(rl::mo_seq_cst, $);
}
inline void heavy_barrier(bool asymmetric) noexcept {
  rl::atomic_thread_fence(rl::mo_seq_cst, $);
  if (asymmetric) rl::systemwide_fence($);
}

}  // namespace microbatch::inline v0_1::detail
