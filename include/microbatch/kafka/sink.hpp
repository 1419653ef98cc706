#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "../concepts/sink.hpp"
#include "../core/clock.hpp"
#include "../delivery/dead_letter.hpp"
#include "errors.hpp"
#include "properties.hpp"
#include "record.hpp"

namespace microbatch::inline v0_1::kafka {

struct SinkOptions {
  Properties properties{};  ///< bootstrap.servers at least; enable.idempotence is on unless set
  std::string topic{};      ///< of records that name none
  Duration connect_timeout = std::chrono::seconds(30);  ///< no broker until then: Unavailable
  std::function<void(const std::string&)> on_event{};   ///< see SourceOptions; it must not put
};

/// Produces records, and waits for the delivery report of each.
///
/// put() tells which records failed. What lies in the record (too large, an unknown partition, a
/// topic of its own that does not exist) is an Error, and ends the record's item as a dead letter;
/// everything else is Unavailable, and put again. librdkafka itself retries for message.timeout.ms
/// before that.
///
/// Threads: any; puts may overlap. It has one of its own, which polls. Errors: the constructor
/// connects. ConfigError as for a Source; Unavailable when no broker answers within
/// connect_timeout; Error for a topic that does not exist, credentials or a certificate that are
/// refused.
///
///     microbatch::kafka::Sink sink({
///         .properties = {{"bootstrap.servers", "localhost:9092"}}, .topic = "results"});
class Sink {
 public:
  explicit Sink(SinkOptions options);
  Sink(Sink&&) noexcept;
  Sink& operator=(Sink&&) noexcept;
  ~Sink();

  [[nodiscard]] PutErrors put(std::span<const Record> records);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

/// The record of a dead letter: as it came, and in its headers why it died and where it stood
/// (error, attempts, source-topic, source-partition, source-offset).
[[nodiscard]] Record dead_letter_record(const Record& record, const std::string& error,
                                        std::uint32_t attempts);

/// Sends dead letters to a topic: for ConsumerOptions::dead_letters. It returns when the broker has
/// the letter, and throws when it cannot have it; the consumer keeps the letter then, and says so.
///
///     options.consumer.dead_letters = microbatch::kafka::DeadLetters(
///         {.properties = properties, .topic = "orders.dead"});
class DeadLetters {
 public:
  explicit DeadLetters(SinkOptions options);

  void operator()(DeadLetter<Record>& letter);

 private:
  std::shared_ptr<Sink> sink_;
};

}  // namespace microbatch::inline v0_1::kafka
