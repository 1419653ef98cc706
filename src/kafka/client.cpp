#include "client.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

namespace microbatch::inline v0_1::kafka::detail {

PartitionList make_list(int size) { return PartitionList(rd_kafka_topic_partition_list_new(size)); }

int milliseconds(Duration duration) noexcept {
  const auto ms = std::chrono::ceil<std::chrono::milliseconds>(
      std::clamp(duration, Duration::zero(), Duration(std::chrono::hours(24))));
  return static_cast<int>(ms.count());
}

Conf Client::make_conf(const Setup& setup) {
  Conf conf(rd_kafka_conf_new());
  std::array<char, 512> text{};
  const auto put = [&](const std::string& name, const std::string& value) {
    const auto result =
        rd_kafka_conf_set(conf.get(), name.c_str(), value.c_str(), text.data(), text.size());
    if (result == RD_KAFKA_CONF_UNKNOWN)
      throw ConfigError(fmt::format(
          "{}: unknown property \"{}\"; expected one of librdkafka's configuration properties",
          setup.who, name));
    if (result == RD_KAFKA_CONF_INVALID)
      throw ConfigError(setup.properties.without_secrets(
          fmt::format("{}: property \"{}\" cannot be \"{}\": {}", setup.who, name,
                      Properties::is_secret(name) ? "***" : value, text.data())));
  };
  if (setup.properties.get("bootstrap.servers").value_or("").empty() &&
      !setup.properties.get("test.mock.num.brokers"))
    throw ConfigError(fmt::format(
        "{}: property \"bootstrap.servers\" is missing; expected host:port,host:port", setup.who));
  for (const auto& [name, value] : setup.defaults) put(name, value);
  for (const auto& [name, value] : setup.properties.all()) {
    for (const auto& [fixed, fixed_value] : setup.fixed)
      if (fixed == name && fixed_value != value)
        throw ConfigError(fmt::format("{}: property \"{}\" must be {}, which it is by itself",
                                      setup.who, name, fixed_value));
    put(name, value);
  }
  for (const auto& [name, value] : setup.fixed) put(name, value);
  return conf;
}

void Client::check(const Setup& setup) { (void)make_conf(setup); }

Client::Client(const Setup& setup)
    : who_(setup.who),
      topics_setting_(setup.topics_setting),
      properties_(setup.properties),
      on_event_(setup.on_event),
      opaque_(setup.opaque) {
  Conf conf = make_conf(setup);
  rd_kafka_conf_set_opaque(conf.get(), this);
  rd_kafka_conf_set_error_cb(conf.get(), on_error);
  rd_kafka_conf_set_log_cb(conf.get(), on_log);
  if (setup.callbacks) setup.callbacks(conf.get());
  std::array<char, 512> text{};
  handle_ = rd_kafka_new(setup.type, conf.get(), text.data(), text.size());
  if (handle_ == nullptr)
    throw ConfigError(fmt::format("{}: {}", who_, properties_.without_secrets(text.data())));
  (void)conf.release();  // it is the client's now
  if (setup.type == RD_KAFKA_CONSUMER) rd_kafka_poll_set_consumer(handle_);
}

Client::~Client() {
  if (handle_ != nullptr) rd_kafka_destroy_flags(handle_, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
}

namespace {
thread_local const Client* telling = nullptr;
}

void Client::tell(const std::string& what) const noexcept {
  if (!on_event_) return;
  const Client* const outer = std::exchange(telling, this);
  try {
    on_event_(properties_.without_secrets(what));
  } catch (...) {  // an observer's own trouble
  }
  telling = outer;
}
bool Client::is_telling() const noexcept { return telling == this; }

std::string Client::describe(rd_kafka_resp_err_t code, const std::string& what) const {
  return properties_.without_secrets(fmt::format("{}: {}: {}", who_, what, rd_kafka_err2str(code)));
}

void Client::fail(rd_kafka_resp_err_t code, const std::string& what) const {
  throw Unavailable(describe(code, what), code);
}

void Client::on_error(rd_kafka_t* handle, int code, const char* reason, void* opaque) {
  auto& self = *static_cast<Client*>(opaque);
  std::string text = reason;
  auto error = static_cast<rd_kafka_resp_err_t>(code);
  if (error == RD_KAFKA_RESP_ERR__FATAL) {
    std::array<char, 512> fatal{};
    error = rd_kafka_fatal_error(handle, fatal.data(), fatal.size());
    text = fatal.data();
  }
  const char* settings = nullptr;
  if (error == RD_KAFKA_RESP_ERR__AUTHENTICATION ||
      error == RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED ||
      error == RD_KAFKA_RESP_ERR_UNSUPPORTED_SASL_MECHANISM)
    settings = "sasl.mechanism, sasl.username and sasl.password";
  else if (error == RD_KAFKA_RESP_ERR__SSL)
    settings =
        "security.protocol, ssl.ca.location, ssl.certificate.location and "
        "ssl.endpoint.identification.algorithm";
  {
    std::lock_guard lock(self.mutex_);
    self.last_error_ = self.properties_.without_secrets(text);
    if (settings != nullptr)
      self.refused_.emplace(fmt::format("{}: refused by the broker (properties {}): {}", self.who_,
                                        settings, self.last_error_),
                            error);
  }
  self.tell(fmt::format("{}: {}: {}", self.who_, rd_kafka_err2name(error), text));
}

void Client::on_log(const rd_kafka_t* handle, int level, const char* facility, const char* text) {
  const auto* self = static_cast<Client*>(rd_kafka_opaque(handle));
  if (self != nullptr) self->tell(fmt::format("{}: {} {}: {}", self->who_, level, facility, text));
}

void Client::check_refused() {
  std::optional<Error> refused;
  {
    std::lock_guard lock(mutex_);
    refused.swap(refused_);
  }
  if (refused) throw Error(*refused);
}

std::optional<bool> Client::has_topic(const std::string& topic, int timeout_ms) {
  const TopicHandle handle(rd_kafka_topic_new(handle_, topic.c_str(), nullptr));
  if (!handle) fail(rd_kafka_last_error(), fmt::format("topic \"{}\"", topic));
  const rd_kafka_metadata_t* metadata = nullptr;
  const auto code = rd_kafka_metadata(handle_, 0, handle.get(), &metadata, timeout_ms);
  if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
    if (code != RD_KAFKA_RESP_ERR__TRANSPORT && code != RD_KAFKA_RESP_ERR__TIMED_OUT) {
      std::lock_guard lock(mutex_);
      last_error_ = rd_kafka_err2str(code);
    }
    return std::nullopt;
  }
  const Handle<const rd_kafka_metadata_t, rd_kafka_metadata_destroy> held(metadata);
  for (int i = 0; i < metadata->topic_cnt; ++i) {
    const auto& found = metadata->topics[i];
    if (found.topic != topic) continue;
    switch (found.err) {
      case RD_KAFKA_RESP_ERR_NO_ERROR:
        return true;
      case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
        return false;
      case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
      case RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION:
        throw Error(describe(found.err, fmt::format("topic \"{}\" ({})", topic, topics_setting_)),
                    found.err);
      default:  // no leader yet, say
        return std::nullopt;
    }
  }
  return std::nullopt;
}

bool Client::connect(const std::vector<std::string>& topics, Duration timeout,
                     std::stop_token stop) {
  const TimePoint until = microbatch::detail::later(steady_clock().now(), timeout);
  // A topic that was made a moment ago is not known everywhere at once.
  const TimePoint topic_grace =
      microbatch::detail::later(steady_clock().now(), std::chrono::seconds(3));
  auto waiting = topics;
  bool missing = false;
  while (!waiting.empty()) {
    if (stop.stop_requested()) return false;
    const auto left = until - steady_clock().now();
    const auto found = has_topic(
        waiting.back(), milliseconds(std::clamp<Duration>(left, std::chrono::milliseconds(1),
                                                          std::chrono::milliseconds(500))));
    rd_kafka_poll(handle_, 0);  // the error callback
    check_refused();
    if (found.value_or(false)) {
      waiting.pop_back();
      continue;
    }
    missing = found.has_value();
    const TimePoint now = steady_clock().now();
    if (missing && (now >= topic_grace || now >= until))
      throw Error(fmt::format("{}: topic \"{}\" does not exist ({})", who_, waiting.back(),
                              topics_setting_),
                  RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART);
    if (now >= until) break;
    if (found) rd_kafka_poll(handle_, 100);
  }
  if (waiting.empty()) return true;
  std::lock_guard lock(mutex_);
  throw Unavailable(
      fmt::format("{}: no broker answered within {} s (bootstrap.servers is \"{}\"){}{}", who_,
                  std::chrono::duration<double>(timeout).count(),
                  properties_.get("bootstrap.servers").value_or(""),
                  last_error_.empty() ? "" : ": ", last_error_),
      RD_KAFKA_RESP_ERR__TRANSPORT);
}

}  // namespace microbatch::inline v0_1::kafka::detail
