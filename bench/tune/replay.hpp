#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <microbatch/emitters/combine.hpp>
#include <microbatch/emitters/count_window.hpp>
#include <microbatch/emitters/max_age_window.hpp>
#include <microbatch/engine.hpp>
#include <stdexcept>
#include <utility>
#include <vector>

#include "figures.hpp"
#include "trace.hpp"
#include "workload.hpp"

namespace tune {

/// What a machine adds to what the workload says. One value of each list is drawn per window;
/// measured by live runs, these ones are a guess.
struct Machine {
  std::vector<Duration> wake_ups{std::chrono::microseconds(60)};  ///< window ready, worker free
                                                                  ///< -> its callback begins
  std::vector<Duration> overruns{std::chrono::microseconds(10)};  ///< of a callback, beyond what it
                                                                  ///< should take
  Nanoseconds cpu_per_item{};
  Nanoseconds cpu_per_window{};
};

/// The time of a replay: it jumps from event to event.
class VirtualClock final : public microbatch::Clock {
 public:
  [[nodiscard]] TimePoint now() const noexcept override { return now_; }
  void set(TimePoint to) noexcept { now_ = to; }

 private:
  TimePoint now_ = TimePoint(std::chrono::hours(1));
};

/// A replay's item: when it arrived.
using Arrival = TimePoint;

/// An executor in virtual time. It calls a callback when it should end, and until then its worker
/// counts as busy.
class VirtualWorkers {
 public:
  VirtualWorkers(const Workload& workload, const Machine& machine, std::size_t workers,
                 const VirtualClock& clock, std::uint64_t seed)
      : workload_(workload), machine_(machine), workers_(workers), clock_(clock), random_(seed) {}

  [[nodiscard]] std::size_t workers() const noexcept { return workers_; }
  /// Whose windows these workers run.
  void serve(microbatch::Engine<Arrival>& engine) noexcept { engine_ = &engine; }

  void execute(microbatch::Task task) {
    const std::size_t items = engine_->stats().in_flight - in_flight_;  // those of this window
    in_flight_ += items;
    const Duration wake_up = rested_ ? draw(machine_.wake_ups) : Duration::zero();
    const TimePoint begin = clock_.now() + wake_up;
    const TimePoint end = begin + workload_.callback(items) + draw(machine_.overruns);
    jobs_.push_back({std::move(task), items, begin, end});
    std::push_heap(jobs_.begin(), jobs_.end(), ends_later);
  }
  /// Whether a worker has to wake up for the windows that come now, or has just ended another.
  void set_rested(bool rested) noexcept { rested_ = rested; }

  [[nodiscard]] bool idle() const noexcept { return jobs_.empty(); }
  [[nodiscard]] TimePoint next_end() const noexcept {
    return jobs_.empty() ? microbatch::never : jobs_.front().end;
  }
  /// Calls the callback whose end is next.
  void finish() {
    std::pop_heap(jobs_.begin(), jobs_.end(), ends_later);
    Job job = std::move(jobs_.back());
    jobs_.pop_back();
    begun_ = job.begin;
    in_flight_ -= job.items;
    job.task();
  }
  /// For the callback: when it began.
  [[nodiscard]] TimePoint begun() const noexcept { return begun_; }

 private:
  struct Job {
    microbatch::Task task;
    std::size_t items;
    TimePoint begin;
    TimePoint end;
  };
  static bool ends_later(const Job& a, const Job& b) noexcept { return a.end > b.end; }
  Duration draw(const std::vector<Duration>& values) {
    return values.empty() ? Duration::zero() : values[random_.below(values.size())];
  }

  const Workload& workload_;
  const Machine& machine_;
  const std::size_t workers_;
  const VirtualClock& clock_;
  Random random_;
  const microbatch::Engine<Arrival>* engine_ = nullptr;
  std::vector<Job> jobs_;  // a heap
  std::size_t in_flight_ = 0;
  bool rested_ = true;
  TimePoint begun_{};
};

/// Plays a trace through a stream, the real emitters and the real engine, in virtual time, on the
/// caller's thread.
///
/// It leaves out what an append costs, and a worker that wakes up late finds no more items in its
/// window than were there in time.
class Replay {
 public:
  Replay(const Workload& workload, const Machine& machine, const Setting& setting,
         std::uint64_t seed)
      : machine_(machine),
        hopeless_(20 * workload.target),
        workers_(workload, machine, setting.workers, clock_, seed),
        stream_({.capacity = setting.capacity, .clock = clock_}),
        engine_(stream_,
                microbatch::any_of(microbatch::CountWindow{setting.window},
                                   microbatch::MaxAgeWindow{setting.age}),
                [this](microbatch::Window<Arrival>& window) { ended(window); },
                {.executor = workers_,
                 .order = setting.workers > 1 ? microbatch::Order::unordered
                                              : microbatch::Order::sequential}) {
    workers_.serve(engine_);
    engine_.on_wake([this] { rung_ = true; });
    for (std::size_t i = 0; i < workload.producers; ++i) lines_.push_back({stream_.producer(), {}});
  }

  /// Once, and with at least one arrival.
  [[nodiscard]] Run operator()(const Trace& trace) {
    run_.latencies.reserve(trace.size());
    run_.last_arrival = trace.back();
    for (std::size_t next = 0; run_.latencies.size() < trace.size() && !run_.fell_behind;) {
      const TimePoint arrival = next < trace.size() ? start_ + trace[next] : microbatch::never;
      const TimePoint now = std::min({arrival, workers_.next_end(), wanted_});
      if (now == microbatch::never) throw std::logic_error("replay: items wait for nothing");
      clock_.set(std::max(now, clock_.now()));
      if (now == arrival) arrive(lines_[next++ % lines_.size()]);
      bool ended_one = false;
      for (; workers_.next_end() <= clock_.now(); ended_one = true) workers_.finish();
      if (ended_one) retry();
      step(!ended_one);
    }
    run_.cpu = std::chrono::duration_cast<Duration>(
        machine_.cpu_per_item * static_cast<double>(run_.latencies.size()) +
        machine_.cpu_per_window * static_cast<double>(run_.calls.size()));
    return std::move(run_);
  }

 private:
  /// A producer; while its append blocks, its items wait behind it.
  struct Line {
    microbatch::Producer<Arrival> producer;
    std::deque<Arrival> waiting;
  };

  void arrive(Line& line) {
    if (!line.waiting.empty() || !append(line, clock_.now())) line.waiting.push_back(clock_.now());
  }
  /// One of each line in turn, as long as there is room.
  void retry() {
    for (bool some = true; some;) {
      some = false;
      for (Line& line : lines_) {
        if (line.waiting.empty() || !append(line, line.waiting.front())) continue;
        line.waiting.pop_front();
        some = true;
      }
    }
  }
  bool append(Line& line, Arrival item) {
    if (unsettled_ == stream_.capacity()) return false;
    // Where other lanes hold the room that is left, an append takes it from them before it sleeps.
    using microbatch::AppendResult;
    const bool accepted =
        line.producer.try_append(item) == AppendResult::accepted ||
        line.producer.append_for(item, Duration::zero()) == AppendResult::accepted;
    unsettled_ += accepted ? 1 : 0;
    return accepted;
  }
  [[nodiscard]] bool blocks() const {
    return std::any_of(lines_.begin(), lines_.end(),
                       [](const Line& line) { return !line.waiting.empty(); });
  }

  void step(bool rested) {
    if (!rung_ && wanted_ > clock_.now()) return;
    workers_.set_rested(rested);
    do {
      rung_ = false;
      wanted_ = engine_.step(clock_.now());
    } while (rung_);
    // An append that sleeps makes the engine flush; ours have only tried.
    if (workers_.idle() && blocks()) {
      engine_.flush();
      wanted_ = engine_.step(clock_.now());
    }
  }

  void ended(microbatch::Window<Arrival>& window) {
    for (const Arrival arrival : window) run_.latencies.push_back(clock_.now() - arrival);
    unsettled_ -= window.size();
    run_.fell_behind = run_.latencies.back() > hopeless_;
    run_.calls.push_back({.begin = workers_.begun() - start_,
                          .end = clock_.now() - start_,
                          .items = window.size(),
                          .by_count = window.reason() == microbatch::Reason::count});
  }

  const Machine& machine_;
  const Duration hopeless_;  // later than that, it is not worth waiting for
  VirtualClock clock_;
  const TimePoint start_ = clock_.now();
  VirtualWorkers workers_;
  microbatch::Stream<Arrival> stream_;
  microbatch::Engine<Arrival> engine_;
  std::vector<Line> lines_;
  std::size_t unsettled_ = 0;             // accepted, and not through a callback
  TimePoint wanted_ = microbatch::never;  // when the engine wants its next step
  bool rung_ = true;                      // or at once
  Run run_;
};

}  // namespace tune
