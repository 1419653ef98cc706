#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "../concepts/storage.hpp"

namespace microbatch {

/// A store in memory: a stream that survives its DurableStream objects, and nothing else. For tests
/// of what is built on durable streams, and the smallest model of Storage.
///
/// Threads: any, all functions. Make it with std::make_shared.
class MemoryStorage {
 public:
  /// Numbers to add to entries of one table, `total(key)`.
  class Transaction {
   public:
    void add(std::string key, std::int64_t n) { additions_.emplace_back(std::move(key), n); }

   private:
    friend class MemoryStorage;
    std::vector<std::pair<std::string, std::int64_t>> additions_;
  };

  explicit MemoryStorage(std::string name = "memory", bool keep = false)
      : name_(std::move(name)), keep_(keep) {}

  [[nodiscard]] std::string name() const { return name_; }

  std::int64_t append(std::span<const NewBatch> batches, Safety) {
    std::lock_guard lock(mutex_);
    check();
    const std::int64_t first = head_;
    for (const NewBatch& batch : batches) {
      const std::int64_t number = head_++;
      batches_[number].stored = {
          .number = number,
          .items = batch.items,
          .written_at = wall_now(),
          .arrived_at = std::chrono::time_point_cast<Duration>(std::chrono::steady_clock::now()),
          .body = std::string(batch.body)};
    }
    changed();
    return first;
  }

  void load(std::int64_t from, std::size_t bytes, std::vector<StoredBatch>& into) {
    std::lock_guard lock(mutex_);
    check();
    std::size_t taken = 0;
    for (auto at = batches_.lower_bound(from); at != batches_.end() && taken < bytes; ++at) {
      if (at->second.ended) continue;
      into.push_back(at->second.stored);
      taken += at->second.stored.body.size();
    }
  }
  [[nodiscard]] std::int64_t head() {
    std::lock_guard lock(mutex_);
    return head_;
  }

  std::optional<Lease> acquire(std::string_view, Duration time) {
    std::lock_guard lock(mutex_);
    check();
    const auto now = std::chrono::steady_clock::now();
    if (now < held_until_) return {};
    held_until_ = later(now, time);
    const auto first = std::find_if(batches_.begin(), batches_.end(),
                                    [](const auto& b) { return !b.second.ended; });
    return Lease{.token = ++token_, .first = first == batches_.end() ? head_ : first->first};
  }
  void renew(std::uint64_t token, Duration time) {
    std::lock_guard lock(mutex_);
    check_token(token);
    held_until_ = later(std::chrono::steady_clock::now(), time);
  }
  void release(std::uint64_t token) {
    std::lock_guard lock(mutex_);
    if (token != token_) return;
    held_until_ = {};
    changed();
  }

  void settle(std::uint64_t token, std::span<const ItemRun> runs, Transaction& transaction,
              Safety) {
    std::lock_guard lock(mutex_);
    check_token(token);
    counts_.delivered += end_items(runs);
    for (const auto& [key, n] : transaction.additions_) totals_[key] += n;
  }
  void record_failure(std::uint64_t token, std::span<const ItemRun> runs) {
    std::lock_guard lock(mutex_);
    check_token(token);
    for (const ItemRun& run : runs) {
      const auto at = batches_.find(run.batch);
      if (at == batches_.end()) continue;
      auto& attempts = at->second.stored.attempts;
      attempts.resize(at->second.stored.items);
      for (std::uint32_t i = run.begin; i < run.end; ++i)
        if (attempts[i] < UINT16_MAX) ++attempts[i];
    }
  }
  void bury(std::uint64_t token, const StoredDeadLetter& letter) {
    std::lock_guard lock(mutex_);
    check_token(token);
    const std::uint32_t index = index_of(letter.position);
    const ItemRun run{.batch = batch_of(letter.position), .begin = index, .end = index + 1};
    counts_.dead_lettered += end_items({&run, 1});
    dead_letters_.push_back(letter);
    dead_letters_.back().id = next_letter_++;
    dead_letters_.back().died_at = wall_now();
  }

  void drop(const DropRule& rule, std::int64_t from) {
    std::lock_guard lock(mutex_);
    std::uint64_t bytes = pending_bytes();
    for (auto at = batches_.lower_bound(from); at != batches_.end();) {
      const StoredBatch& batch = at->second.stored;
      const bool old = rule.older_than != Duration::max() &&
                       wall_now() - batch.written_at >= rule.older_than.count();
      if (at->second.ended || (!old && bytes <= rule.max_bytes)) {
        ++at;
        continue;
      }
      bytes -= batch.body.size();
      (old ? counts_.expired : counts_.evicted) += open_items(at->second);
      at = batches_.erase(at);
    }
  }

  [[nodiscard]] std::vector<StoredDeadLetter> dead_letters(std::int64_t after, std::size_t n) {
    std::lock_guard lock(mutex_);
    std::vector<StoredDeadLetter> found;
    for (const auto& letter : dead_letters_)
      if (letter.id > after && found.size() < n) found.push_back(letter);
    return found;
  }
  bool put_back(std::int64_t id) {
    std::lock_guard lock(mutex_);
    const auto at = std::find_if(dead_letters_.begin(), dead_letters_.end(),
                                 [&](const auto& letter) { return letter.id == id; });
    if (at == dead_letters_.end()) return false;
    const auto size = static_cast<std::uint32_t>(at->item.size());
    std::string body(reinterpret_cast<const char*>(&size), sizeof size);
    body += at->item;
    batches_[head_].stored = {
        .number = head_, .items = 1, .written_at = wall_now(), .body = std::move(body)};
    ++head_;
    dead_letters_.erase(at);
    changed();
    return true;
  }
  std::uint64_t replay(Position from) {
    std::lock_guard lock(mutex_);
    std::uint64_t items = 0;
    for (auto at = batches_.lower_bound(batch_of(from)); at != batches_.end(); ++at) {
      Kept& kept = at->second;
      auto& settled = kept.stored.settled;
      if (kept.ended) settled.assign(kept.stored.items, true);
      kept.ended = false;
      for (std::uint32_t i = at->first == batch_of(from) ? index_of(from) : 0; i < settled.size();
           ++i) {
        items += settled[i] ? 1U : 0U;
        settled[i] = false;
      }
    }
    ++token_;
    held_until_ = {};
    changed();
    return items;
  }

  [[nodiscard]] StoredCounts counts() {
    std::lock_guard lock(mutex_);
    StoredCounts counts = counts_;
    counts.bytes = pending_bytes();
    counts.dead_letters = dead_letters_.size();
    for (const auto& [number, batch] : batches_) counts.pending += open_items(batch);
    return counts;
  }

  [[nodiscard]] std::uint64_t notice() {
    std::lock_guard lock(mutex_);
    return notice_;
  }
  void wait(std::uint64_t seen, TimePoint until) {
    std::unique_lock lock(mutex_);
    noticed_.wait_until(lock, until, [&] { return notice_ != seen; });
  }
  void wake() {
    std::lock_guard lock(mutex_);
    changed();
  }

  /// What the committed transactions have added up.
  [[nodiscard]] std::int64_t total(const std::string& key) {
    std::lock_guard lock(mutex_);
    return totals_[key];
  }
  /// Every call throws this from now on; null: it works again.
  void fail_with(std::exception_ptr error) {
    std::lock_guard lock(mutex_);
    failure_ = std::move(error);
  }
  /// Somebody else takes the lease.
  void revoke_lease() {
    std::lock_guard lock(mutex_);
    ++token_;
    held_until_ = {};
  }

 private:
  struct Kept {
    StoredBatch stored{};
    bool ended = false;
  };

  static std::int64_t wall_now() {
    return std::chrono::duration_cast<Duration>(std::chrono::system_clock::now().time_since_epoch())
        .count();
  }
  static TimePoint later(std::chrono::steady_clock::time_point now, Duration time) {
    return detail::later(std::chrono::time_point_cast<Duration>(now), time);
  }
  static std::uint64_t open_items(const Kept& batch) {
    if (batch.ended) return 0;
    const auto& settled = batch.stored.settled;
    return batch.stored.items -
           static_cast<std::uint64_t>(std::count(settled.begin(), settled.end(), true));
  }
  [[nodiscard]] std::uint64_t pending_bytes() const {
    std::uint64_t bytes = 0;
    for (const auto& [number, batch] : batches_)
      if (!batch.ended) bytes += batch.stored.body.size();
    return bytes;
  }
  void check() const {
    if (failure_) std::rethrow_exception(failure_);
  }
  void check_token(std::uint64_t token) const {
    check();
    if (token != token_)
      throw LeaseLost(fmt::format("{}: another consumer has taken the lease", name_));
  }
  std::uint64_t end_items(std::span<const ItemRun> runs) {
    std::uint64_t ended = 0;
    for (const ItemRun& run : runs) {
      const auto at = batches_.find(run.batch);
      if (at == batches_.end()) continue;
      auto& settled = at->second.stored.settled;
      settled.resize(at->second.stored.items);
      for (std::uint32_t i = run.begin; i < run.end; ++i) {
        ended += settled[i] ? 0U : 1U;
        settled[i] = true;
      }
      if (open_items(at->second) > 0) continue;
      if (keep_)
        at->second.ended = true;
      else
        batches_.erase(at);
    }
    return ended;
  }
  void changed() {
    ++notice_;
    noticed_.notify_all();
  }

  const std::string name_;
  const bool keep_;
  std::mutex mutex_;
  std::condition_variable noticed_;
  std::map<std::int64_t, Kept> batches_;
  std::vector<StoredDeadLetter> dead_letters_;
  std::map<std::string, std::int64_t> totals_;
  StoredCounts counts_;
  std::exception_ptr failure_;
  std::int64_t head_ = 1;
  std::int64_t next_letter_ = 1;
  std::uint64_t token_ = 0;
  std::uint64_t notice_ = 0;
  TimePoint held_until_{};
};

}  // namespace microbatch
