#pragma once

#include <microbatch/core/results.hpp>
#include <microbatch/core/stats.hpp>
#include <microbatch/core/window.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

/// A ledger outside of the system under test: producers write down what was accepted, the callback
/// what it was called with, and violations() says in linear time where the two disagree.
namespace ledger {

/// Who made it, which one of theirs it is (from 0, without gaps), and a checksum over both.
struct Entry {
  std::uint32_t producer = 0;
  std::uint64_t sequence = 0;
  std::uint64_t checksum = 0;

  [[nodiscard]] static std::uint64_t sum(std::uint32_t producer, std::uint64_t sequence) noexcept {
    std::uint64_t z = (sequence + 1) * 0x9E3779B97F4A7C15ULL + producer * 0xD1342543DE82EF95ULL;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
    return z ^ (z >> 31);
  }
  [[nodiscard]] static Entry make(std::uint32_t producer, std::uint64_t sequence) noexcept {
    return {producer, sequence, sum(producer, sequence)};
  }
  [[nodiscard]] bool intact() const noexcept { return checksum == sum(producer, sequence); }
};

/// One call of the callback.
struct Call {
  std::uint64_t window = 0;
  std::uint32_t part = 0;
  std::uint32_t attempt = 1;
  microbatch::Reason reason = microbatch::Reason::none;
  bool succeeded = false;
  std::vector<Entry> items{};
  std::vector<std::size_t> rejected{};  ///< indices, where it succeeded for the others
};

struct Record {
  /// How many items each producer was told were accepted: the first n of its sequence.
  std::vector<std::uint64_t> accepted;
  std::vector<Call> calls;  ///< in the order in which they began
  std::vector<Entry> dead_letters;
  std::vector<Entry> handed_back;
};

struct Rules {
  bool calls_in_order = true;  ///< one window at a time: first attempts follow the windows' numbers
  bool gaps = false;           ///< items may be missing from the numbers of an accepted sequence
  std::size_t count = 0;       ///< a window by count holds exactly so many; 0: no such rule
  std::size_t at_most = 0;     ///< no window holds more; 0: no such rule
  bool faults = false;         ///< callbacks failed: attempts after the first are allowed
};

/// Every broken rule, in words; empty when the books are right. The counts come from the library's
/// own statistics, the items from outside of it.
class Checker {
 public:
  Checker(const Record& record, const Rules& rules, const microbatch::Stats& stats)
      : record_(record), rules_(rules), stats_(stats), ends_(record.accepted.size()) {
    for (std::size_t p = 0; p < ends_.size(); ++p) ends_[p].resize(record.accepted[p], 0);
  }

  [[nodiscard]] std::vector<std::string> violations() {
    each_item_ends_once();
    nothing_is_lost();
    order_within_a_producer();
    windows();
    counters();
    return std::move(found_);
  }

 private:
  template <class... Args>
  void say(fmt::format_string<Args...> format, Args&&... args) {
    if (found_.size() < 20) found_.push_back(fmt::format(format, std::forward<Args>(args)...));
  }

  bool known(const Entry& item, const char* where) {
    if (!item.intact()) {
      say("corrupted: an item in {} has a wrong checksum (says {}:{})", where, item.producer,
          item.sequence);
      return false;
    }
    if (item.producer >= ends_.size() || item.sequence >= ends_[item.producer].size()) {
      say("invented: {}:{} in {} was never accepted", item.producer, item.sequence, where);
      return false;
    }
    return true;
  }

  void end(const Entry& item, const char* where) {
    if (!known(item, where)) return;
    if (++ends_[item.producer][item.sequence] == 2)
      say("duplicate: {}:{} ended twice, the second time in {}", item.producer, item.sequence,
          where);
  }

  void each_item_ends_once() {
    for (const Call& call : record_.calls) {
      std::size_t next_rejected = 0;
      for (std::size_t i = 0; i < call.items.size(); ++i) {
        const bool rejected =
            next_rejected < call.rejected.size() && call.rejected[next_rejected] == i;
        if (rejected) ++next_rejected;
        if (!call.succeeded || rejected)
          (void)known(call.items[i], "a call");
        else
          end(call.items[i], "a call that succeeded");
      }
    }
    for (const Entry& item : record_.dead_letters) end(item, "the dead letters");
    for (const Entry& item : record_.handed_back) end(item, "what was handed back");
  }

  void nothing_is_lost() {
    std::uint64_t missing = 0;
    std::string first;
    for (std::size_t p = 0; p < ends_.size(); ++p)
      for (std::size_t s = 0; s < ends_[p].size(); ++s)
        if (ends_[p][s] == 0 && missing++ == 0) first = fmt::format("{}:{}", p, s);
    const std::uint64_t excused = stats_.abandoned + stats_.dropped();
    if (missing != excused)
      say("lost: {} accepted items have no end (the first is {}), and {} are counted as dropped or "
          "abandoned",
          missing, first.empty() ? "none" : first, excused);
  }

  void order_within_a_producer() {
    std::vector<const Call*> firsts;
    std::uint64_t before = 0;
    for (const Call& call : record_.calls) {
      if (call.attempt > 1 && !rules_.faults)
        say("duplicate: window {} was called again without a fault", call.window);
      if (call.attempt != 1 || call.part != 0) continue;
      if (rules_.calls_in_order && call.window < before)
        say("order: window {} was called after window {}", call.window, before);
      before = call.window;
      if (call.window >= firsts.size()) firsts.resize(call.window + 1, nullptr);
      if (firsts[call.window] != nullptr) say("order: two windows have number {}", call.window);
      firsts[call.window] = &call;
    }
    std::vector<std::uint64_t> next(record_.accepted.size(), 0);
    for (const Call* call : firsts) {
      if (call == nullptr) continue;
      for (const Entry& item : call->items) {
        if (item.producer >= next.size()) continue;
        auto& expected = next[item.producer];
        if (item.sequence < expected || (!rules_.gaps && item.sequence != expected))
          say("order: {}:{} came in window {} where {}:{} was next", item.producer, item.sequence,
              call->window, item.producer, expected);
        expected = item.sequence + 1;
      }
    }
  }

  void windows() {
    for (const Call& call : record_.calls) {
      if (rules_.count != 0 && call.part == 0 && call.reason == microbatch::Reason::count &&
          call.items.size() != rules_.count)
        say("window {} by count holds {} items and not {}", call.window, call.items.size(),
            rules_.count);
      if (rules_.at_most != 0 && call.items.size() > rules_.at_most)
        say("window {} holds {} items, more than {}", call.window, call.items.size(),
            rules_.at_most);
    }
  }

  void counters() {
    if (!stats_.balances()) say("counters: the ledger does not balance");
    if (stats_.pending != 0 || stats_.in_flight != 0)
      say("counters: at rest {} are pending and {} in flight", stats_.pending, stats_.in_flight);
    std::uint64_t accepted = 0;
    for (const auto n : record_.accepted) accepted += n;
    agree("accepted", stats_.accepted, accepted);
    std::uint64_t delivered = 0;
    for (const Call& call : record_.calls)
      if (call.succeeded) delivered += call.items.size() - call.rejected.size();
    agree("delivered", stats_.delivered, delivered);
    agree("dead-lettered", stats_.dead_lettered, record_.dead_letters.size());
    agree("handed back", stats_.handed_back, record_.handed_back.size());
  }
  void agree(const char* what, std::uint64_t counted, std::uint64_t seen) {
    if (counted != seen) say("counters: {} are counted as {}, {} were seen", counted, what, seen);
  }

  const Record& record_;
  const Rules& rules_;
  const microbatch::Stats& stats_;
  std::vector<std::vector<std::uint8_t>> ends_;
  std::vector<std::string> found_;
};

/// One string with every broken rule, empty when all is well: `CHECK(ledger::check(...) == "")`.
[[nodiscard]] inline std::string check(const Record& record, const Rules& rules,
                                       const microbatch::Stats& stats) {
  return fmt::format("{}", fmt::join(Checker(record, rules, stats).violations(), "\n"));
}

/// What a callback writes down. Threads: any.
class Recorder {
 public:
  /// At the beginning of the callback; the answer goes to succeeded().
  std::size_t begin(const microbatch::Window<Entry>& window) {
    Call call{.window = window.sequence(),
              .part = window.part(),
              .attempt = window.attempt(),
              .reason = window.reason(),
              .items = {window.begin(), window.end()}};
    std::lock_guard lock(mutex_);
    record_.calls.push_back(std::move(call));
    return record_.calls.size() - 1;
  }
  /// At its end, unless it throws.
  void succeeded(std::size_t call, std::vector<std::size_t> rejected = {}) {
    std::lock_guard lock(mutex_);
    record_.calls[call].succeeded = true;
    record_.calls[call].rejected = std::move(rejected);
  }
  void dead_letter(const Entry& item) {
    std::lock_guard lock(mutex_);
    record_.dead_letters.push_back(item);
  }
  void handed_back(const std::vector<Entry>& items) {
    std::lock_guard lock(mutex_);
    record_.handed_back.insert(record_.handed_back.end(), items.begin(), items.end());
  }
  void accepted(std::vector<std::uint64_t> by_producer) {
    std::lock_guard lock(mutex_);
    record_.accepted = std::move(by_producer);
  }
  /// Once nobody records any more.
  [[nodiscard]] const Record& record() const noexcept { return record_; }

 private:
  std::mutex mutex_;
  Record record_;
};

}  // namespace ledger
