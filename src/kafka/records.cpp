#include <microbatch/kafka/sink.hpp>

#include <array>
#include <mutex>
#include <string>
#include <unordered_set>

#include "assignments.hpp"
#include "client.hpp"

namespace microbatch::inline v0_1::kafka {
namespace detail {

namespace {

/// Names live on; a process that ends need not free them.
struct Names {
  std::mutex mutex;
  std::unordered_set<std::string> all;  // its elements stay where they are
};

// librdkafka tells null from empty by the pointer, and takes it as not const.
char* data(const std::optional<std::string>& field) {
  return field ? const_cast<char*>(field->data()) : nullptr;
}
std::size_t size(const std::optional<std::string>& field) { return field ? field->size() : 0; }

void put(std::optional<std::string>& field, const void* data, std::size_t size) {
  if (data != nullptr) field.emplace(static_cast<const char*>(data), size);
}

}  // namespace

void read(const rd_kafka_message_t& message, const Assignment& assignment, Record& record) {
  record.topic = assignment.topic;
  record.partition = message.partition;
  record.offset = message.offset;
  record.assignment = assignment.id;
  rd_kafka_timestamp_type_t kind{};
  const std::int64_t ms = rd_kafka_message_timestamp(&message, &kind);
  if (kind != RD_KAFKA_TIMESTAMP_NOT_AVAILABLE) {
    record.timestamp_kind =
        kind == RD_KAFKA_TIMESTAMP_CREATE_TIME ? TimestampKind::create : TimestampKind::log_append;
    record.timestamp = Timestamp(std::chrono::milliseconds(ms));
  }
  put(record.key, message.key, message.key_len);
  put(record.value, message.payload, message.len);
  rd_kafka_headers_t* headers = nullptr;
  if (rd_kafka_message_headers(&message, &headers) == RD_KAFKA_RESP_ERR_NO_ERROR) {
    const char* name = nullptr;
    const void* value = nullptr;
    std::size_t size = 0;
    for (std::size_t i = 0;
         rd_kafka_header_get_all(headers, i, &name, &value, &size) == RD_KAFKA_RESP_ERR_NO_ERROR;
         ++i)
      put(record.headers.emplace_back(Header{name, {}}).value, value, size);
  }
}

rd_kafka_message_t to_message(const Record& record, void* opaque) {
  rd_kafka_message_t message{};
  message.payload = data(record.value);
  message.len = size(record.value);
  message.key = data(record.key);
  message.key_len = size(record.key);
  message._private = opaque;
  return message;
}

rd_kafka_resp_err_t produce(rd_kafka_t* producer, const Record& record,
                            const std::string& default_topic, void* opaque) {
  const std::string& topic = record.topic.empty() ? default_topic : record.topic.name();
  const std::int64_t timestamp = record.timestamp_kind == TimestampKind::none
                                     ? 0
                                     : record.timestamp.time_since_epoch().count();
  rd_kafka_headers_t* headers = nullptr;
  if (!record.headers.empty()) {
    headers = rd_kafka_headers_new(record.headers.size());
    for (const Header& header : record.headers)
      rd_kafka_header_add(headers, header.name.data(), static_cast<ssize_t>(header.name.size()),
                          data(header.value), static_cast<ssize_t>(size(header.value)));
  }
  std::array<rd_kafka_vu_t, 8> fields{};
  std::size_t n = 0;
  const auto field = [&](rd_kafka_vtype_t type) -> rd_kafka_vu_t& {
    fields[n].vtype = type;
    return fields[n++];
  };
  field(RD_KAFKA_VTYPE_TOPIC).u.cstr = topic.c_str();
  field(RD_KAFKA_VTYPE_PARTITION).u.i32 = record.partition;
  field(RD_KAFKA_VTYPE_MSGFLAGS).u.i = RD_KAFKA_MSG_F_COPY;
  field(RD_KAFKA_VTYPE_KEY).u.mem = {data(record.key), size(record.key)};
  field(RD_KAFKA_VTYPE_VALUE).u.mem = {data(record.value), size(record.value)};
  field(RD_KAFKA_VTYPE_TIMESTAMP).u.i64 = timestamp;
  field(RD_KAFKA_VTYPE_OPAQUE).u.ptr = opaque;
  if (headers != nullptr) field(RD_KAFKA_VTYPE_HEADERS).u.headers = headers;
  const KafkaError error(rd_kafka_produceva(producer, fields.data(), n));
  if (!error) return RD_KAFKA_RESP_ERR_NO_ERROR;
  if (headers != nullptr) rd_kafka_headers_destroy(headers);  // they are the producer's on success
  return rd_kafka_error_code(error.get());
}

bool lies_in_record(rd_kafka_resp_err_t code, bool own_topic) noexcept {
  switch (code) {
    case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
    case RD_KAFKA_RESP_ERR_INVALID_MSG:
    case RD_KAFKA_RESP_ERR_INVALID_MSG_SIZE:
    case RD_KAFKA_RESP_ERR_INVALID_RECORD:
    case RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP:
    case RD_KAFKA_RESP_ERR__INVALID_ARG:
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
      return true;
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
    case RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION:
      return own_topic;
    default:
      return false;
  }
}

}  // namespace detail

const std::string& Topic::kept(std::string_view name) {
  if (name.empty()) return none();
  static auto& names = *new detail::Names;
  std::lock_guard lock(names.mutex);
  return *names.all.emplace(name).first;
}

Record dead_letter_record(const Record& record, const std::string& error, std::uint32_t attempts) {
  Record letter;
  letter.timestamp_kind = record.timestamp_kind;
  letter.timestamp = record.timestamp;
  letter.key = record.key;
  letter.value = record.value;
  letter.headers = record.headers;
  letter.headers.push_back({"error", error});
  letter.headers.push_back({"attempts", std::to_string(attempts)});
  letter.headers.push_back({"source-topic", record.topic.name()});
  letter.headers.push_back({"source-partition", std::to_string(record.partition)});
  letter.headers.push_back({"source-offset", std::to_string(record.offset)});
  return letter;
}

}  // namespace microbatch::inline v0_1::kafka
