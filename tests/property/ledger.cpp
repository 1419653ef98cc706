// Random scripts of operations on one thread, with a clock and an executor that stand still until
// the script moves them. After every step the capacity holds and the counters balance; after every
// script the books of ledger_checker.hpp are right and every acknowledgement was told once.
//
// MICROBATCH_SEED=<n> repeats the script of that number alone; MICROBATCH_STRESS=<factor> runs
// more.

#include "support/catch.hpp"
#include "support/ledger_checker.hpp"
#include "support/stress.hpp"

#include <microbatch/microbatch.hpp>
#include <microbatch/testing/manual_clock.hpp>
#include <microbatch/testing/manual_executor.hpp>

#include <array>
#include <cstdlib>
#include <deque>
#include <optional>
#include <random>
#include <stdexcept>

using namespace microbatch;
using namespace std::chrono_literals;
using ledger::Entry;

namespace {

constexpr std::uint32_t producers = 3;

class Random {
 public:
  explicit Random(std::uint64_t seed) : engine_(seed) {}
  /// 0 to n - 1
  std::size_t below(std::size_t n) {
    return std::uniform_int_distribution<std::size_t>(0, n - 1)(engine_);
  }
  bool one_in(std::size_t n) { return below(n) == 0; }
  template <class T>
  T of(std::initializer_list<T> values) {
    return values.begin()[below(values.size())];
  }

 private:
  std::mt19937_64 engine_;
};

[[nodiscard]] std::uint64_t weight_of(const Entry& item) { return 1 + item.checksum % 7; }
[[nodiscard]] bool poison(const Entry& item) { return item.checksum % 23 == 0; }
[[nodiscard]] bool refused(const Entry& item) { return item.checksum % 19 == 1; }

/// One script, from its seed.
class Script {
 public:
  explicit Script(std::uint64_t seed) : random_(seed), executor_(1 + seed % 3) {}

  [[nodiscard]] std::string run() {
    capacity_ = random_.of<std::size_t>({1, 2, 3, 8, 17, 64});
    switch (random_.below(9)) {
      case 0:
        rules_.count = rules_.at_most = 1 + random_.below(capacity_);
        return run_with(CountWindow{rules_.count});
      case 1:
        return run_with(MaxAgeWindow{1s});
      case 2:
        rules_.count = rules_.at_most = 1 + random_.below(capacity_);
        return run_with(any_of(CountWindow{rules_.count}, MaxAgeWindow{2s}));
      case 3:
        fixed_ = true;
        return run_with(FixedTimeWindow{1s, {.empty_windows = random_.one_in(3)}});
      case 4:
        return run_with(RelaxedTimeWindow{1s});
      case 5:
        return run_with(PeriodWindow{1s});
      case 6:
        return run_with(WeightWindow(10, weight_of));
      case 7:
        return run_with(PredicateWindow([](const Entry& item) { return item.checksum % 4 == 0; }));
      default:
        rules_.at_most = 1 + random_.below(capacity_);
        return run_with(any_of(all_of(CountWindow{rules_.at_most}, PeriodWindow{1s}),
                               CountWindow{rules_.at_most}));
    }
  }

 private:
  struct Told {
    int times = 0;
    bool error = false;
    bool asked = false;
  };

  /// Takes calls that succeeded; fails at random.
  struct Sink {
    Script* script;
    void put(std::span<const std::size_t> calls) {
      if (script->ended_) return;
      if (script->flaky_ && script->random_.one_in(8)) throw std::runtime_error("put failed");
      for (const std::size_t call : calls)
        script->recorder_.succeeded(call, std::exchange(script->rejected_[call], {}));
    }
  };

  template <class E>
  std::string run_with(E emitter) {
    const bool weighs = random_.one_in(3);
    StreamOptions<Entry> options{
        .capacity = capacity_,
        .overflow = random_.of(
            {Overflow::block, Overflow::reject, Overflow::drop_newest, Overflow::drop_oldest}),
        .expire_after = random_.one_in(4) ? Duration(3s) : Duration::max(),
        .clock = clock_,
        .arrival_stamps = random_.one_in(3)};
    if (weighs) {
      options.weight = weight_of;
      if (random_.one_in(2))
        options.max_bytes = max_bytes_ = random_.of<std::uint64_t>({7, 20, 50});
    }
    overflow_ = options.overflow;
    rules_.gaps = options.overflow == Overflow::drop_newest ||
                  options.overflow == Overflow::drop_oldest ||
                  options.expire_after != Duration::max();
    rules_.faults = flaky_ = random_.one_in(2);
    ConsumerOptions<Entry, std::size_t> consumer_options;
    consumer_options.executor = executor_;
    consumer_options.order =
        random_.of({Order::sequential, Order::committed_in_order, Order::unordered});
    if (consumer_options.order != Order::sequential)
      consumer_options.max_in_flight = random_.below(4);
    consumer_options.sink = Sink{this};
    consumer_options.dead_letters = [this](DeadLetter<Entry>& letter) {
      recorder_.dead_letter(letter.item);
    };
    consumer_options.on_failure = policy();

    Stream<Entry> stream(options);
    std::optional<Consumer<Entry>> consumer;
    handles_.clear();
    for (std::uint32_t p = 1; p < producers; ++p) handles_.push_back(stream.producer());
    // A stream that is filled before such an emitter comes must be stamped from the beginning.
    constexpr bool needs_stamps = requires { requires E::needs_stamps; };
    const std::size_t late = !needs_stamps && random_.one_in(5) ? random_.below(20) : 0;
    const std::size_t steps = 20 + random_.below(150);
    for (std::size_t step = 0; step < steps; ++step) {
      if (!consumer && step >= late)
        consumer.emplace(streaming(
            stream, std::move(emitter), [this](Window<Entry>& window) { return call(window); },
            consumer_options));
      operate(stream, consumer);
      if (const std::string wrong = invariants(stream.stats()); !wrong.empty())
        return fmt::format("after step {}: {}", step, wrong);
    }
    return end(stream, *consumer);
  }

  FailurePolicy policy() {
    FailurePolicy policy;
    policy.max_attempts = static_cast<std::uint32_t>(1 + random_.below(3));
    policy.max_transient_attempts = random_.one_in(2) ? 3 : FailurePolicy::unbounded;
    policy.isolate = random_.of({Isolate::when_others_succeed, Isolate::always, Isolate::off});
    return policy;
  }

  std::size_t call(Window<Entry>& window) {
    if (ended_) return 0;  // it was abandoned: what it does counts no more
    const std::size_t call = recorder_.begin(window);
    if (fixed_)
      for (const Entry& item : window) {
        const TimePoint arrived = arrived_[item.producer][item.sequence];
        if (arrived < window.opened_at() || arrived >= window.closed_at())
          in_wrong_cell_ = fmt::format("{}:{} arrived at {}, its window is [{}, {})", item.producer,
                                       item.sequence, arrived.time_since_epoch().count(),
                                       window.opened_at().time_since_epoch().count(),
                                       window.closed_at().time_since_epoch().count());
      }
    rejected_.resize(call + 1);
    if (!flaky_) return call;
    if (random_.one_in(10)) throw TransientError("down");
    std::vector<std::size_t> rejected;
    for (std::size_t i = 0; i < window.size(); ++i) {
      if (poison(window[i])) throw std::runtime_error("poison");
      if (refused(window[i])) rejected.push_back(i);
    }
    for (const std::size_t i : rejected) {
      if (random_.one_in(4))
        window.reject(i, std::make_exception_ptr(TransientError("busy")));
      else
        window.reject(i, "refused");
    }
    rejected_[call] = std::move(rejected);
    return call;
  }

  void operate(Stream<Entry>& stream, std::optional<Consumer<Entry>>& consumer) {
    switch (random_.below(consumer ? 14 : 9)) {
      case 0:
      case 1:
      case 2:
      case 3:
        return append(stream, static_cast<std::uint32_t>(random_.below(producers)));
      case 4:
        for (std::size_t n = random_.below(2 * capacity_ + 2); n > 0; --n)
          append(stream, static_cast<std::uint32_t>(random_.below(producers)));
        return;
      case 5:
      case 6:
        return append_range(stream);
      case 7:
        return clock_.advance(random_.of<Duration>({1ns, 100ms, 499ms, 1s, 7s}));
      case 8:
        return move_time_to_a_boundary();
      case 9:
      case 10:
        for (std::size_t n = 1 + random_.below(6); n > 0; --n) (void)executor_.step();
        return;
      case 11:
      case 12:
        (void)executor_.run_ready();
        return;
      default:
        (void)consumer->flush(0ns);
    }
  }

  void move_time_to_a_boundary() {
    const auto into = clock_.now().time_since_epoch() % 1s;
    clock_.advance(1s - into);
  }

  /// The append that `with` makes of the item, and what it answered.
  template <class Door>
  AppendResult put(Door& door, const Entry& item, Told& told) {
    const bool may_wait = overflow_ == Overflow::block;
    switch (random_.below(may_wait ? 2 : 5)) {
      case 0:
        return door.try_append(item);
      case 1:
        return door.append_for(item, 0ns);
      case 2:
        return door.append(item);
      case 3: {
        Entry copy = item;
        return door.append(std::move(copy));
      }
      default: {
        told.asked = true;
        return door.append(item, [&told](const std::exception_ptr& error) {
          ++told.times;
          told.error = error != nullptr;
        });
      }
    }
  }

  void append(Stream<Entry>& stream, std::uint32_t p) {
    const Entry item = Entry::make(p, told_[p].size());
    told_[p].emplace_back();
    arrived_[p].push_back(clock_.now());
    const AppendResult result =
        p == 0 ? put(stream, item, told_[p].back()) : put(handles_[p - 1], item, told_[p].back());
    if (result == AppendResult::accepted || result == AppendResult::dropped) return;
    told_[p].pop_back();
    arrived_[p].pop_back();
  }

  void append_range(Stream<Entry>& stream) {
    if (overflow_ == Overflow::block) return;
    const auto p = static_cast<std::uint32_t>(random_.below(producers));
    std::vector<Entry> items;
    for (std::size_t n = random_.below(2 * capacity_ + 1); n > 0; --n)
      items.push_back(Entry::make(p, told_[p].size() + items.size()));
    for (std::size_t i = 0; i < items.size(); ++i) arrived_[p].push_back(clock_.now());
    const RangeResult result =
        p == 0 ? stream.append_range(items) : handles_[p - 1].append_range(items);
    for (std::size_t i = 0; i < result.accepted; ++i) told_[p].emplace_back();
    arrived_[p].resize(told_[p].size());
  }

  [[nodiscard]] std::string invariants(const Stats& stats) {
    if (!stats.balances()) return "the counters do not balance";
    if (stats.pending + stats.in_flight > capacity_)
      return fmt::format("{} are accepted and unsettled, the capacity is {}",
                         stats.pending + stats.in_flight, capacity_);
    if (stats.bytes > max_bytes_)
      return fmt::format("{} bytes are in, max_bytes is {}", stats.bytes, max_bytes_);
    return in_wrong_cell_;
  }

  std::string end(Stream<Entry>& stream, Consumer<Entry>& consumer) {
    if (random_.one_in(4)) stream.close();
    CloseResult<Entry> result;
    switch (random_.below(4)) {
      case 0:
        result = consumer.stop();
        break;
      case 1:
        result = consumer.close(0ns);
        break;
      default:
        if (const auto drained = drain(consumer))
          result = *drained;
        else
          return "close() did not end";
    }
    ended_ = true;
    recorder_.handed_back(result.handed_back);
    std::vector<std::uint64_t> accepted;
    for (const auto& told : told_) accepted.push_back(told.size());
    recorder_.accepted(accepted);
    const Stats stats = consumer.stats();
    if (stats.delivered != result.delivered || stats.dead_lettered != result.dead_lettered)
      return "close() and stats() disagree";
    if (stats.bytes != 0) return fmt::format("at rest {} bytes are in", stats.bytes);
    if (stream.append(Entry{}) != AppendResult::closed) return "a closed stream takes an item";
    (void)executor_.run_ready();
    const std::string wrong = ledger::check(recorder_.record(), rules_, stats);
    if (!wrong.empty()) return wrong;
    return acknowledgements();
  }

  /// Close on a manual clock asks for time where a retry waits: give it.
  std::optional<CloseResult<Entry>> drain(Consumer<Entry>& consumer) {
    for (int i = 0; i < 2000; ++i) {
      try {
        return consumer.close();
      } catch (const UsageError&) {
        clock_.advance(31s);
        (void)executor_.run_ready();
      }
    }
    return std::nullopt;
  }

  [[nodiscard]] std::string acknowledgements() {
    std::vector<std::vector<bool>> delivered;
    for (const auto& told : told_) delivered.emplace_back(told.size());
    for (const auto& call : recorder_.record().calls) {
      if (!call.succeeded) continue;
      std::vector<bool> rejected(call.items.size());
      for (const std::size_t i : call.rejected) rejected[i] = true;
      for (std::size_t i = 0; i < call.items.size(); ++i)
        if (!rejected[i]) delivered[call.items[i].producer][call.items[i].sequence] = true;
    }
    for (std::uint32_t p = 0; p < producers; ++p)
      for (std::size_t s = 0; s < told_[p].size(); ++s) {
        const Told& told = told_[p][s];
        if (told.times != (told.asked ? 1 : 0))
          return fmt::format("the acknowledgement of {}:{} was told {} times", p, s, told.times);
        if (told.asked && told.error == delivered[p][s])
          return fmt::format("the acknowledgement of {}:{} says the wrong thing", p, s);
      }
    return "";
  }

  Random random_;
  testing::ManualClock clock_;
  testing::ManualExecutor executor_;
  std::vector<Producer<Entry>> handles_;
  ledger::Recorder recorder_;
  ledger::Rules rules_;
  std::size_t capacity_ = 0;
  std::uint64_t max_bytes_ = ~std::uint64_t{0};
  Overflow overflow_ = Overflow::block;
  bool flaky_ = false;
  bool fixed_ = false;
  bool ended_ = false;
  std::string in_wrong_cell_;
  std::vector<std::vector<std::size_t>> rejected_;  // by call
  std::array<std::deque<Told>, producers> told_;    // by accepted item; references stay
  std::array<std::vector<TimePoint>, producers> arrived_;
};

}  // namespace

TEST_CASE("the ledger balances over random scripts", "[property]") {
  const char* chosen = std::getenv("MICROBATCH_SEED");
  const std::uint64_t first = chosen != nullptr ? std::strtoull(chosen, nullptr, 10) : 1;
  const std::uint64_t last = chosen != nullptr ? first : stress::scaled(3000);
  for (std::uint64_t seed = first; seed <= last; ++seed) {
    const std::string wrong = Script(seed).run();
    if (wrong.empty()) continue;
    FAIL_CHECK("MICROBATCH_SEED=" << seed << ": " << wrong);
    break;
  }
  SUCCEED("seeds " << first << " to " << last);
}
