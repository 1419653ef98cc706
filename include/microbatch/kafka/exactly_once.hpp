#pragma once

#include <algorithm>
#include <concepts>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "../pipeline.hpp"
#include "sink.hpp"
#include "source.hpp"

namespace microbatch::inline v0_1::kafka {

/// Settings of run_exactly_once().
struct ExactlyOnceOptions {
  /// Where results go. Its properties hold the transactional.id: one that no other running process
  /// has, else they put each other out of action.
  SinkOptions output{};
  /// Dead letters go there, in the same transaction; empty: they are only told to the consumer.
  std::string dead_letter_topic{};
  StreamOptions<Record> stream{};
  ConsumerOptions<Record> consumer{};
  std::stop_token stop{};
  Duration drain_timeout = Duration::max();
};

/// Transactions that write records and, with them, what a source has read: both or neither.
/// run_exactly_once() is what one uses.
///
/// Threads: one at a time. Errors: the constructor connects; see Sink. commit() throws Unavailable
/// when the transaction was aborted and may be tried again, and Error for a record that the broker
/// will never take.
class Transactions {
 public:
  Transactions(SinkOptions output, Source& source);
  Transactions(const Transactions&) = delete;
  Transactions& operator=(const Transactions&) = delete;
  ~Transactions();

  /// Whether the record is still ours to process: its partition has not gone to another member, and
  /// no transaction has covered it yet.
  [[nodiscard]] bool is_open(const Record& record) const;
  /// One transaction: the results, and that these records have been processed. They are contiguous
  /// per partition.
  void commit(std::span<const Record> results, std::span<const Record> processed);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

namespace detail {

/// The callback of run_exactly_once(): a window's results and offsets in one transaction. A window
/// that keeps failing is taken apart here, in order, so that each transaction covers a prefix.
template <class F>
class Transacting {
 public:
  Transacting(F transform, Transactions& transactions, const ExactlyOnceOptions& options)
      : transform_(std::move(transform)),
        transactions_(transactions),
        dead_letter_topic_(options.dead_letter_topic),
        policy_(options.consumer.on_failure) {}

  void operator()(Window<Record>& window) {
    if (window.sequence() != sequence_) dead_.clear();
    sequence_ = window.sequence();
    // What has gone to another member is that one's, and what a transaction has covered is done.
    const auto open =
        std::stable_partition(window.begin(), window.end(),
                              [&](const Record& record) { return transactions_.is_open(record); });
    const std::span<const Record> records(window.begin(), open);
    if (!records.empty()) {
      if (window.attempt() < policy_.max_attempts)
        process(records);
      else
        process_or_isolate(records, window.attempt());
    }
    for (std::size_t i = 0; i < window.size(); ++i)
      for (const Dead& dead : dead_)
        if (dead.assignment == window[i].assignment && dead.offset == window[i].offset)
          window.reject(i, dead.error);
  }

 private:
  struct Dead {
    std::uint32_t assignment;
    std::int64_t offset;
    std::exception_ptr error;
  };

  void process(std::span<const Record> records) {
    const std::vector<Record> results = std::invoke(transform_, records);
    transactions_.commit(results, records);
  }

  void process_or_isolate(std::span<const Record> records, std::uint32_t attempts) {
    try {
      return process(records);
    } catch (...) {
      const auto error = std::current_exception();
      if (policy_.classified(error) == Failure::transient) throw;
      if (records.size() == 1) return bury(records.front(), error, attempts);
    }
    const std::size_t half = records.size() / 2;
    process_or_isolate(records.first(half), attempts + 1);
    process_or_isolate(records.subspan(half), attempts + 1);
  }

  void bury(const Record& record, const std::exception_ptr& error, std::uint32_t attempts) {
    std::vector<Record> letters;
    if (!dead_letter_topic_.empty()) {
      letters.push_back(dead_letter_record(record, microbatch::detail::text_of(error), attempts));
      letters.back().topic = dead_letter_topic_;
    }
    transactions_.commit(letters, {&record, 1});
    dead_.push_back({record.assignment, record.offset, error});
  }

  F transform_;
  Transactions& transactions_;
  const std::string dead_letter_topic_;
  const FailurePolicy policy_;
  std::uint64_t sequence_ = ~std::uint64_t{0};
  std::vector<Dead> dead_;  // of this window, over its attempts
};

}  // namespace detail

/// From Kafka to Kafka, each record's results exactly once, whatever fails: every window is one
/// transaction of its results and its offsets. Readers of the results set isolation.level to
/// read_committed (librdkafka's default).
///
/// transform(std::span<const Record>) returns the results of a window as std::vector<Record>. It
/// may run more than once for a record; only one run's results are ever visible. An exception is
/// retried as FailurePolicy says; after max_attempts the window is taken apart until the record
/// that fails stands alone, and that one is a dead letter. An outage must come as TransientError.
///
/// A transaction commits a prefix of each partition, so what does not keep the order is refused: at
/// compile time emitters that choose or reorder items, or whose windows overlap; as a ConfigError
/// any Order but sequential, and a stream that drops or expires items.
template <class E, class F>
  requires std::invocable<F&, std::span<const Record>>
RunResult<Record> run_exactly_once(Source& source, E emitter, F transform,
                                   ExactlyOnceOptions options) {
  static_assert(
      !microbatch::detail::QueryingEmitter<E, Record> && !microbatch::detail::OverlappingEmitter<E>,
      "microbatch: exactly-once needs windows that take the oldest items in their order, and each "
      "item once; this emitter chooses or reorders items, or its windows overlap");
  if (options.consumer.order != Order::sequential)
    throw ConfigError("run_exactly_once: consumer.order must be Order::sequential, got Order::" +
                      std::string(to_string(options.consumer.order)) +
                      "; transactions commit one window after the other");
  if (options.stream.overflow != Overflow::block)
    throw ConfigError("run_exactly_once: stream.overflow must be Overflow::block, got Overflow::" +
                      std::string(to_string(options.stream.overflow)) +
                      "; a dropped record would have no result");
  if (options.stream.expire_after != Duration::max())
    throw ConfigError(
        "run_exactly_once: stream.expire_after must not be set; an expired record would have no "
        "result");
  Transactions transactions(options.output, source);
  detail::Transacting<F> callback(std::move(transform), transactions, options);
  // Windows are taken apart by the callback, not by the engine.
  options.consumer.on_failure.max_attempts = FailurePolicy::unbounded;
  return run(source, std::move(emitter), std::ref(callback), NoSink{},
             {.stream = std::move(options.stream),
              .consumer = std::move(options.consumer),
              .stop = options.stop,
              .drain_timeout = options.drain_timeout});
}

}  // namespace microbatch::inline v0_1::kafka
