#pragma once

#include "microbatch.hpp"
#include "mutex.hpp"
#if __has_include(<concurrentqueue/concurrentqueue.h>)
#include "moodycamel.hpp"
#endif
#if __has_include(<boost/lockfree/queue.hpp>)
#include "boost_lockfree.hpp"
#endif
#if __has_include(<atomic_queue/atomic_queue.h>)
#include "atomic_queue.hpp"
#endif
#if COMPARE_WITH_TBB
#include "tbb.hpp"
#endif

namespace contest {

template <template <class, class> class C>
struct Contender {
  template <class I, class Callback>
  using type = C<I, Callback>;
  static const char* name() { return C<Item<8>, Sum>::name; }
  static constexpr bool spins = C<Item<8>, Sum>::spins;
};

/// Calls f(Contender) for each one that is installed here.
template <class F>
void for_each_contender(F f) {
  f(Contender<ThroughProducer>{});
  f(Contender<ThroughStream>{});
  f(Contender<Mutex>{});
#if __has_include(<concurrentqueue/concurrentqueue.h>)
  f(Contender<MoodycamelBlocking>{});
  f(Contender<MoodycamelBlockingToken>{});
  f(Contender<MoodycamelSpinning>{});
  f(Contender<MoodycamelSpinningToken>{});
#endif
#if __has_include(<boost/lockfree/queue.hpp>)
  f(Contender<BoostLockfree>{});
#endif
#if COMPARE_WITH_TBB
  f(Contender<Tbb>{});
#endif
#if __has_include(<atomic_queue/atomic_queue.h>)
  f(Contender<AtomicQueue>{});
#endif
}

}  // namespace contest
