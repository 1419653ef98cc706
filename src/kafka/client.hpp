#pragma once

#include <librdkafka/rdkafka.h>

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include <microbatch/core/clock.hpp>
#include <microbatch/kafka/errors.hpp>
#include <microbatch/kafka/properties.hpp>
#include <microbatch/kafka/record.hpp>

namespace microbatch::inline v0_1::kafka::detail {

template <auto destroy>
struct Destroy {
  template <class T>
  void operator()(T* object) const noexcept {
    destroy(object);
  }
};
template <class T, auto destroy>
using Handle = std::unique_ptr<T, Destroy<destroy>>;

using Conf = Handle<rd_kafka_conf_t, rd_kafka_conf_destroy>;
using Message = Handle<rd_kafka_message_t, rd_kafka_message_destroy>;
using PartitionList =
    Handle<rd_kafka_topic_partition_list_t, rd_kafka_topic_partition_list_destroy>;
using TopicHandle = Handle<rd_kafka_topic_t, rd_kafka_topic_destroy>;
using Queue = Handle<rd_kafka_queue_t, rd_kafka_queue_destroy>;
using Event = Handle<rd_kafka_event_t, rd_kafka_event_destroy>;
using KafkaError = Handle<rd_kafka_error_t, rd_kafka_error_destroy>;
using GroupMetadata =
    Handle<rd_kafka_consumer_group_metadata_t, rd_kafka_consumer_group_metadata_destroy>;

struct Assignment;

[[nodiscard]] PartitionList make_list(int size);
[[nodiscard]] int milliseconds(Duration duration) noexcept;

/// One librdkafka client, a consumer or a producer: made from properties, with its errors and its
/// log told to an observer, free of secrets. librdkafka never writes to standard error.
///
/// Threads: any.
class Client {
 public:
  struct Setup {
    const char* who;             ///< for texts: "kafka::Source"
    const char* topics_setting;  ///< for texts: "SourceOptions.topics"
    rd_kafka_type_t type;
    const Properties& properties;
    /// Properties that the user may not set, and what they are set to.
    std::vector<Properties::Entry> fixed{};
    /// Properties that the user may set.
    std::vector<Properties::Entry> defaults{};
    std::function<void(const std::string&)> on_event{};
    std::function<void(rd_kafka_conf_t*)> callbacks{};  ///< sets more of them; opaque is `opaque`
    void* opaque = nullptr;
  };

  /// Only checks: throws ConfigError.
  static void check(const Setup& setup);

  explicit Client(const Setup& setup);
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;
  ~Client();

  [[nodiscard]] rd_kafka_t* get() const noexcept { return handle_; }
  [[nodiscard]] void* opaque() const noexcept { return opaque_; }

  /// Waits until a broker answers and knows these topics; see Source for what it throws. False when
  /// it was stopped first.
  bool connect(const std::vector<std::string>& topics, Duration timeout, std::stop_token stop);
  /// Throws if credentials or certificates were refused since the last call.
  void check_refused();

  void tell(const std::string& what) const noexcept;
  /// The present thread is inside on_event, so that it must not wait for what librdkafka will say.
  [[nodiscard]] bool is_telling() const noexcept;
  /// What went wrong, in one sentence.
  [[nodiscard]] std::string describe(rd_kafka_resp_err_t code, const std::string& what) const;
  [[noreturn]] void fail(rd_kafka_resp_err_t code, const std::string& what) const;

 private:
  static Conf make_conf(const Setup& setup);
  static void on_error(rd_kafka_t*, int code, const char* reason, void* opaque);
  static void on_log(const rd_kafka_t* handle, int level, const char* facility, const char* text);
  /// Whether the topic is there; null where it is not known yet.
  std::optional<bool> has_topic(const std::string& topic, int timeout_ms);

  const std::string who_;
  const std::string topics_setting_;
  const Properties properties_;
  const std::function<void(const std::string&)> on_event_;
  void* const opaque_;
  rd_kafka_t* handle_ = nullptr;

  std::mutex mutex_;
  std::string last_error_;
  std::optional<Error> refused_;
};

/// Fills an empty record with what librdkafka gave to us.
void read(const rd_kafka_message_t& message, const Assignment& assignment, Record& record);
/// For rd_kafka_produce_batch: key and value, which stay the record's.
[[nodiscard]] rd_kafka_message_t to_message(const Record& record, void* opaque);
/// Hands a record to the producer; `opaque` comes back with its delivery report.
[[nodiscard]] rd_kafka_resp_err_t produce(rd_kafka_t* producer, const Record& record,
                                          const std::string& default_topic, void* opaque);
/// Whether the record itself is the reason, so that another try cannot help.
[[nodiscard]] bool lies_in_record(rd_kafka_resp_err_t code, bool own_topic) noexcept;

}  // namespace microbatch::inline v0_1::kafka::detail
