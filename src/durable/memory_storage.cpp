#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <microbatch/durable/memory_storage.hpp>
#include <utility>

namespace microbatch::inline v0_1 {

namespace {

std::int64_t wall_now() {
  return std::chrono::duration_cast<Duration>(std::chrono::system_clock::now().time_since_epoch())
      .count();
}
TimePoint later(std::chrono::steady_clock::time_point now, Duration time) {
  return detail::later(std::chrono::time_point_cast<Duration>(now), time);
}

}  // namespace

std::int64_t MemoryStorage::append(std::span<const NewBatch> batches, Safety) {
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
  changed(Bell::appended);
  return first;
}

void MemoryStorage::load(std::int64_t from, std::size_t bytes, std::vector<StoredBatch>& into) {
  std::lock_guard lock(mutex_);
  check();
  std::size_t taken = 0;
  for (auto at = batches_.lower_bound(from); at != batches_.end() && taken < bytes; ++at) {
    if (at->second.ended) continue;
    into.push_back(at->second.stored);
    taken += at->second.stored.body.size();
  }
}

std::int64_t MemoryStorage::head() {
  std::lock_guard lock(mutex_);
  return head_;
}

std::optional<Lease> MemoryStorage::acquire(std::string_view, Duration time) {
  std::lock_guard lock(mutex_);
  check();
  const auto now = std::chrono::steady_clock::now();
  if (now < held_until_) return {};
  held_until_ = later(now, time);
  for (const auto& [number, mark] : std::exchange(marks_, {})) fail(mark.runs);
  const auto first =
      std::find_if(batches_.begin(), batches_.end(), [](const auto& b) { return !b.second.ended; });
  return Lease{.token = ++token_, .first = first == batches_.end() ? head_ : first->first};
}

void MemoryStorage::renew(std::uint64_t token, Duration time) {
  std::lock_guard lock(mutex_);
  check_token(token);
  held_until_ = later(std::chrono::steady_clock::now(), time);
}

void MemoryStorage::release(std::uint64_t token) {
  std::lock_guard lock(mutex_);
  if (token != token_) return;
  marks_.clear();
  held_until_ = {};
  changed(Bell::appended);
}

void MemoryStorage::settle(std::uint64_t token, std::span<const ItemRun> runs,
                           Transaction& transaction, Safety) {
  std::lock_guard lock(mutex_);
  check_token(token);
  counts_.delivered += end_items(runs);
  for (const auto& [key, n] : transaction.additions_) totals_[key] += n;
  changed(Bell::ended);
}

void MemoryStorage::record_failure(std::uint64_t token, std::span<const ItemRun> runs) {
  std::lock_guard lock(mutex_);
  check_token(token);
  fail(runs);
}

std::uint32_t MemoryStorage::mark(std::uint64_t token, std::span<const ItemRun> runs) noexcept {
  std::lock_guard lock(mutex_);
  try {
    marks_[++last_mark_] = {token, {runs.begin(), runs.end()}};
  } catch (...) {  // it is not counted
  }
  return last_mark_;
}

void MemoryStorage::unmark(std::uint64_t token, std::uint32_t mark) noexcept {
  std::lock_guard lock(mutex_);
  const auto at = marks_.find(mark);
  if (at != marks_.end() && at->second.token == token) marks_.erase(at);
}

void MemoryStorage::bury(std::uint64_t token, const StoredDeadLetter& letter) {
  std::lock_guard lock(mutex_);
  check_token(token);
  const std::uint32_t index = index_of(letter.position);
  const ItemRun run{.batch = batch_of(letter.position), .begin = index, .end = index + 1};
  counts_.dead_lettered += end_items({&run, 1});
  dead_letters_.push_back(letter);
  dead_letters_.back().id = next_letter_++;
  dead_letters_.back().died_at = wall_now();
  changed(Bell::ended);
}

void MemoryStorage::drop(const DropRule& rule, std::int64_t from) {
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
    dropped_[batch.number] = old ? "expired" : "evicted";
    at = batches_.erase(at);
  }
  changed(Bell::ended);
}

std::vector<StoredDeadLetter> MemoryStorage::dead_letters(std::int64_t after, std::size_t n) {
  std::lock_guard lock(mutex_);
  std::vector<StoredDeadLetter> found;
  for (const auto& letter : dead_letters_)
    if (letter.id > after && found.size() < n) found.push_back(letter);
  return found;
}

bool MemoryStorage::put_back(std::int64_t id) {
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
  changed(Bell::appended);
  return true;
}

std::uint64_t MemoryStorage::replay(Position from) {
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
  changed(Bell::appended);
  return items;
}

StoredCounts MemoryStorage::counts() {
  std::lock_guard lock(mutex_);
  StoredCounts counts = counts_;
  counts.bytes = pending_bytes();
  counts.dead_letters = dead_letters_.size();
  for (const auto& [number, batch] : batches_) counts.pending += open_items(batch);
  return counts;
}

std::vector<std::optional<ItemEnd>> MemoryStorage::ends(std::span<const Position> positions) {
  std::lock_guard lock(mutex_);
  std::vector<std::optional<ItemEnd>> found;
  for (const Position position : positions) {
    auto& end = found.emplace_back();
    const auto at = batches_.find(batch_of(position));
    if (at != batches_.end() && !at->second.ended) {
      const auto& settled = at->second.stored.settled;
      if (settled.empty() || !settled[index_of(position)]) continue;
    }
    end.emplace();
    const auto letter = std::find_if(dead_letters_.begin(), dead_letters_.end(),
                                     [&](const auto& l) { return l.position == position; });
    const auto drop = dropped_.find(batch_of(position));
    if (letter != dead_letters_.end())
      *end = {Outcome::dead_lettered, letter->error};
    else if (drop != dropped_.end())
      *end = {Outcome::dropped, drop->second};
  }
  return found;
}

std::uint64_t MemoryStorage::notice(Bell bell) {
  std::lock_guard lock(mutex_);
  return notices_[static_cast<std::size_t>(bell)];
}

void MemoryStorage::wait(Bell bell, std::uint64_t seen, TimePoint until) {
  std::unique_lock lock(mutex_);
  const auto changed = [&] { return notices_[static_cast<std::size_t>(bell)] != seen; };
  if (until == never)
    noticed_.wait(lock, changed);
  else
    noticed_.wait_until(lock, until, changed);
}

void MemoryStorage::wake(Bell bell) {
  std::lock_guard lock(mutex_);
  changed(bell);
}

std::int64_t MemoryStorage::total(const std::string& key) {
  std::lock_guard lock(mutex_);
  return totals_[key];
}

void MemoryStorage::fail_with(std::exception_ptr error) {
  std::lock_guard lock(mutex_);
  failure_ = std::move(error);
}

void MemoryStorage::revoke_lease() {
  std::lock_guard lock(mutex_);
  ++token_;
  held_until_ = {};
}

std::uint64_t MemoryStorage::open_items(const Kept& batch) {
  if (batch.ended) return 0;
  const auto& settled = batch.stored.settled;
  return batch.stored.items -
         static_cast<std::uint64_t>(std::count(settled.begin(), settled.end(), true));
}

std::uint64_t MemoryStorage::pending_bytes() const {
  std::uint64_t bytes = 0;
  for (const auto& [number, batch] : batches_)
    if (!batch.ended) bytes += batch.stored.body.size();
  return bytes;
}

void MemoryStorage::check() const {
  if (failure_) std::rethrow_exception(failure_);
}

void MemoryStorage::check_token(std::uint64_t token) const {
  check();
  if (token != token_)
    throw LeaseLost(fmt::format("{}: another consumer has taken the lease", name_));
}

void MemoryStorage::fail(std::span<const ItemRun> runs) {
  for (const ItemRun& run : runs) {
    const auto at = batches_.find(run.batch);
    if (at == batches_.end()) continue;
    auto& attempts = at->second.stored.attempts;
    attempts.resize(at->second.stored.items);
    for (std::uint32_t i = run.begin; i < run.end; ++i)
      if (attempts[i] < UINT16_MAX) ++attempts[i];
  }
}

std::uint64_t MemoryStorage::end_items(std::span<const ItemRun> runs) {
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

void MemoryStorage::changed(Bell bell) {
  ++notices_[static_cast<std::size_t>(bell)];
  noticed_.notify_all();
}

}  // namespace microbatch::inline v0_1
