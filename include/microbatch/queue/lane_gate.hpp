#pragma once

#include <cstdint>
#include <limits>

#include "../core/atomic.hpp"
#include "../core/cache_line.hpp"

namespace microbatch::inline v0_1::detail {

/// The counters of one lane: who may publish how far, what is published, and at which count
/// somebody wants to be woken. One producer writes, one consumer reads, and neither ever waits for
/// the other.
///
/// An append is four steps of the producer, none of them a read-modify-write:
///
///     claim = t + 1      "I am about to publish t"
///     t < limit ?        may I? one comparison covers room, chunk end, closed and asked-to-stop
///     tail = t + 1       publish (release): the item is the consumer's
///     t + 1 >= wake_at ? does somebody sleep until this item?
///
/// Two store-load handshakes, each with light_barrier on the producer's side and heavy_barrier on
/// the other: claim/limit (revoke, close) and tail/wake_at (sleep). On a stamped lane the publish
/// is a compare-exchange, because the consumer may have sealed the lane: then the item takes a new
/// stamp.
///
/// The short way is the same four steps for one item and nothing else: it has a limit of its own,
/// which stays 0 where an append has more to do (stamps, weights, real fences).
///
/// The proof of every order stands in docs/memory-model.md, the models in tests/model/.
class LaneGate {
 public:
  static constexpr std::uint64_t none = std::numeric_limits<std::uint64_t>::max();
  static constexpr std::uint64_t nobody = std::numeric_limits<std::uint64_t>::max();

  explicit LaneGate(bool asymmetric) noexcept : asymmetric_(asymmetric) {}

  // The producer.

  /// The short way: the next position, or `none` when the item has to go the whole way. Announces
  /// it; follow with publish_short or leave. `lost` tells of an announcement to be taken back by
  /// leave.
  [[nodiscard]] std::uint64_t enter_short(bool& lost) noexcept {
    const std::uint64_t at = tail_.load(std::memory_order_relaxed);  // sealed: beyond any limit
    if (at >= short_limit_.load(std::memory_order_relaxed)) [[unlikely]]
      return none;
    claim_.store(at + 1, std::memory_order_relaxed);  // orders as in enter()
    light_barrier(true);
    if (at < short_limit_.load(std::memory_order_relaxed)) [[likely]]
      return at;
    lost = true;
    return none;
  }
  [[nodiscard]] bool publish_short(std::uint64_t at) noexcept {
    tail_.store(at + 1, std::memory_order_release);  // orders as in publish() and must_wake()
    light_barrier(true);
    return at + 1 >= wake_at_.load(std::memory_order_relaxed);
  }

  /// What is published so far, and so the position of the next item.
  [[nodiscard]] std::uint64_t next() const noexcept {
    return tail_.load(std::memory_order_relaxed) & ~sealed;  // it alone advances it
  }

  /// How many of n items may be published now. Announces them; follow with publish or leave.
  [[nodiscard]] std::uint64_t enter(std::uint64_t n) noexcept {
    const std::uint64_t at = next();
    // relaxed: the value itself is all that is told; the barrier orders it before the load below.
    claim_.store(at + n, std::memory_order_relaxed);
    light_barrier(asymmetric_);
    // relaxed: a stale larger limit is what revoke() and close() look for in claim_.
    const std::uint64_t limit = limit_.load(std::memory_order_relaxed);
    if (at + n <= limit) [[likely]]
      return n;
    return limit > at ? limit - at : 0;
  }

  /// Takes back the announcement, or what of it was not published. True if somebody waits for that,
  /// as one does who closes.
  [[nodiscard]] bool leave() noexcept {
    // release: with quiet(), so that whoever then frees the slots comes after what was tried there.
    claim_.store(next(), std::memory_order_release);
    light_barrier(asymmetric_);
    // relaxed: if this misses arm(0), then quiet() sees the claim taken back after the barrier.
    return wake_at_.load(std::memory_order_relaxed) == 0;
  }

  /// Hands n items to the consumer; true if somebody sleeps until now.
  [[nodiscard]] bool publish(std::uint64_t n) noexcept {
    const std::uint64_t published = next() + n;
    // release: with the consumer's acquire in tail(), publishes the items and the chunk's links.
    tail_.store(published, std::memory_order_release);
    return must_wake(published);
  }

  /// The same where seals are used; false if the lane is sealed: unseal(), stamp the items again
  /// and come back.
  [[nodiscard]] bool try_publish(std::uint64_t n) noexcept {
    std::uint64_t expected = next();
    // release as in publish. relaxed on failure: unseal() is what pairs with seal().
    return tail_.compare_exchange_strong(expected, expected + n, std::memory_order_release,
                                         std::memory_order_relaxed);
  }
  [[nodiscard]] bool is_sealed() const noexcept {
    return (tail_.load(std::memory_order_relaxed) & sealed) != 0;  // try_publish decides, not we
  }
  /// Before the new stamp is read, not after: a seal set in between would be wiped out unseen.
  void unseal() noexcept {
    // acquire: pairs with seal(), so that the time read next is not before the sealer's.
    tail_.fetch_and(~sealed, std::memory_order_acquire);
  }
  /// After a publish up to there: somebody sleeps until now.
  [[nodiscard]] bool must_wake(std::uint64_t published) const noexcept {
    light_barrier(asymmetric_);
    // relaxed: if this misses arm(), then arm()'s caller sees our tail after its barrier.
    return published >= wake_at_.load(std::memory_order_relaxed);
  }

  // The consumer.

  /// Items published so far.
  [[nodiscard]] std::uint64_t tail() const noexcept {
    return tail_.load(std::memory_order_acquire) & ~sealed;  // pairs with publish
  }
  /// From now on, whatever is published was stamped after this call began.
  void seal() noexcept { tail_.fetch_or(sealed, std::memory_order_acq_rel); }

  /// Wake me when so many are published. Then heavy_barrier, then look at tail() once more.
  void arm(std::uint64_t at) noexcept { wake_at_.store(at, std::memory_order_relaxed); }

  // Whoever holds the lane's lock.

  /// `short_way`: the producer may take it, up to there.
  void set_limit(std::uint64_t limit, bool short_way) noexcept {
    limit_.store(limit, std::memory_order_relaxed);
    short_limit_.store(short_way ? limit : 0, std::memory_order_relaxed);
  }

  /// After set_limit(0) and a heavy_barrier: the producer publishes below this and no further.
  [[nodiscard]] std::uint64_t reach() const noexcept {
    const std::uint64_t claimed = claim_.load(std::memory_order_relaxed);
    const std::uint64_t published = tail();
    return claimed > published ? claimed : published;
  }
  /// After set_limit(0) and a heavy_barrier: nothing more will be published.
  [[nodiscard]] bool quiet() const noexcept {
    const std::uint64_t claimed = claim_.load(std::memory_order_acquire);  // pairs with leave()
    return claimed == tail();
  }

 private:
  static constexpr std::uint64_t sealed = std::uint64_t{1} << 63;

  // Written by the producer (tail_ also by seal and unseal), read by the consumer.
  alignas(cache_line) Atomic<std::uint64_t> tail_{0};
  Atomic<std::uint64_t> claim_{0};
  const bool asymmetric_;

  // Written by the others, once per window or chunk; read by the producer.
  alignas(cache_line) Atomic<std::uint64_t> limit_{0};
  Atomic<std::uint64_t> short_limit_{0};
  Atomic<std::uint64_t> wake_at_{1};  // a new lane reports its first item
};

}  // namespace microbatch::inline v0_1::detail
