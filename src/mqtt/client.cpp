#include "client.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "options.hpp"

namespace microbatch::inline v0_1::mqtt {

namespace {

/// CONNACK codes that trying again does not cure: MQTT 3.1.1 section 3.2.2.3, MQTT 5
/// section 3.2.2.2.
bool is_refusal(int code) {
  constexpr int refusals[] = {1, 2, 4, 5, 0x81, 0x82, 0x84, 0x85, 0x86, 0x87, 0x8A, 0x8C, 0x9C};
  return std::ranges::find(refusals, code) != std::end(refusals);
}

/// PUBACK codes that may pass: unspecified, implementation specific, quota exceeded.
bool may_pass(int code) { return code < 0x80 || code == 0x80 || code == 0x83 || code == 0x97; }

/// A time in whole units, for Paho.
template <class Unit>
int whole(Duration d) {
  constexpr Duration::rep most = 1'000'000'000;
  return static_cast<int>(std::clamp<Duration::rep>(std::chrono::ceil<Unit>(d).count(), 1, most));
}

/// Of a CONNACK: MQTT 5, section 3.2.2.3.
Limits limits_of(MQTTProperties& properties) {
  Limits limits;
  const auto number = [&](MQTTPropertyCodes code) -> std::optional<std::uint32_t> {
    if (MQTTProperties_hasProperty(&properties, code) == 0) return std::nullopt;
    return static_cast<std::uint32_t>(MQTTProperties_getNumericValue(&properties, code));
  };
  if (const auto size = number(MQTTPROPERTY_CODE_MAXIMUM_PACKET_SIZE))
    limits.packet_size = std::min<std::size_t>(limits.packet_size, *size);
  if (const auto qos = number(MQTTPROPERTY_CODE_MAXIMUM_QOS)) limits.qos = static_cast<int>(*qos);
  if (const auto retain = number(MQTTPROPERTY_CODE_RETAIN_AVAILABLE)) limits.retain = *retain != 0;
  return limits;
}

MQTTAsync_SSLOptions ssl_options(const Tls& tls) {
  const auto text = [](const std::string& s) { return s.empty() ? nullptr : s.c_str(); };
  MQTTAsync_SSLOptions options = MQTTAsync_SSLOptions_initializer;
  options.trustStore = text(tls.ca_file);
  options.keyStore = text(tls.certificate_file);
  options.privateKey = text(tls.key_file);
  options.privateKeyPassword = text(tls.key_password.reveal());
  options.enableServerCertAuth = tls.insecure_skip_verification ? 0 : 1;
  options.verify = tls.insecure_skip_verification ? 0 : 1;
  return options;
}

}  // namespace

Client::Client(const Connection& connection, Session session, ClientEvents events)
    : connection_(connection), session_(std::move(session)), events_(std::move(events)) {
  initialise_paho();
  MQTTAsync_createOptions create = MQTTAsync_createOptions_initializer;
  create.MQTTVersion = is_v5() ? MQTTVERSION_5 : MQTTVERSION_3_1_1;
  create.maxBufferedMessages = 1'000'000;  // the sink sets the limit
  const int code =
      MQTTAsync_createWithOptions(&handle_, connection_.server.c_str(), session_.client_id.c_str(),
                                  MQTTCLIENT_PERSISTENCE_NONE, nullptr, &create);
  if (code != MQTTASYNC_SUCCESS)
    throw ConfigError(
        fmt::format("Connection.server or client_id: Paho refuses '{}', '{}' (code {})",
                    connection_.server, session_.client_id, code));
  MQTTAsync_setCallbacks(
      handle_, this,
      [](void* self, char* cause) {
        auto& client = *static_cast<Client*>(self);
        client.set_gone();
        if (client.events_.lost) client.events_.lost(cause != nullptr ? cause : "");
      },
      [](void* self, char* topic, int length, MQTTAsync_message* message) {
        return static_cast<Client*>(self)->arrived(topic, length, message);
      },
      nullptr);
  try {
    connect();
  } catch (...) {
    MQTTAsync_destroy(&handle_);
    throw;
  }
}

Client::~Client() {
  MQTTAsync_disconnectOptions options = MQTTAsync_disconnectOptions_initializer;
  options.timeout = 0;
  options.context = this;
  if (is_v5()) {
    options.onSuccess5 = [](void* self, MQTTAsync_successData5*) {
      static_cast<Client*>(self)->answered({.there = true});
    };
    options.onFailure5 = [](void* self, MQTTAsync_failureData5*) {
      static_cast<Client*>(self)->answered({.there = true});
    };
  } else {
    options.onSuccess = [](void* self, MQTTAsync_successData*) {
      static_cast<Client*>(self)->answered({.there = true});
    };
    options.onFailure = [](void* self, MQTTAsync_failureData*) {
      static_cast<Client*>(self)->answered({.there = true});
    };
  }
  const bool there = [&] {
    const std::lock_guard lock(mutex_);
    return !gone_;
  }();
  if (there && MQTTAsync_disconnect(handle_, &options) == MQTTASYNC_SUCCESS)
    (void)wait_for_answer(std::chrono::seconds(1));
  MQTTAsync_destroy(&handle_);
}

void Client::connect() {
  MQTTAsync_connectOptions options = MQTTAsync_connectOptions_initializer;
  MQTTAsync_SSLOptions ssl = ssl_options(connection_.tls);
  MQTTProperties properties = MQTTProperties_initializer;
  if (is_v5()) {
    options = MQTTAsync_connectOptions_initializer5;
    options.cleanstart = session_.kept ? 0 : 1;
    MQTTProperty expiry{};
    expiry.identifier = MQTTPROPERTY_CODE_SESSION_EXPIRY_INTERVAL;
    expiry.value.integer4 = static_cast<unsigned>(session_.expiry.count());
    if (session_.kept) MQTTProperties_add(&properties, &expiry);
    options.connectProperties = &properties;
    options.onSuccess5 = [](void* self, MQTTAsync_successData5* data) {
      static_cast<Client*>(self)->accepted(data->alt.connect.sessionPresent != 0,
                                           limits_of(data->properties));
    };
    options.onFailure5 = [](void* self, MQTTAsync_failureData5* data) {
      const int reason = static_cast<int>(data->reasonCode);
      static_cast<Client*>(self)->answered({.there = true,
                                            .code = reason != 0       ? reason
                                                    : data->code != 0 ? data->code
                                                                      : -1,
                                            .text = data->message != nullptr ? data->message : ""});
    };
  } else {
    options.MQTTVersion = MQTTVERSION_3_1_1;
    options.cleansession = session_.kept ? 0 : 1;
    options.onSuccess = [](void* self, MQTTAsync_successData* data) {
      static_cast<Client*>(self)->accepted(data->alt.connect.sessionPresent != 0, {});
    };
    options.onFailure = [](void* self, MQTTAsync_failureData* data) {
      static_cast<Client*>(self)->answered({.there = true,
                                            .code = data->code != 0 ? data->code : -1,
                                            .text = data->message != nullptr ? data->message : ""});
    };
  }
  options.context = this;
  options.keepAliveInterval = whole<std::chrono::seconds>(connection_.keep_alive);
  options.connectTimeout = whole<std::chrono::seconds>(session_.timeout);
  if (!connection_.user.empty()) options.username = connection_.user.c_str();
  if (!connection_.password.empty()) {
    options.binarypwd.data = connection_.password.reveal().data();
    options.binarypwd.len = static_cast<int>(connection_.password.reveal().size());
  }
  const Address address = address_of(connection_.server);
  if (address.tls) {
    ssl.ssl_error_context = this;
    ssl.ssl_error_cb = [](const char* text, std::size_t length, void* self) {
      auto& errors = static_cast<Client*>(self)->tls_errors_;
      if (errors.size() < 1000) errors += std::string(text, length) + " ";
      return 1;
    };
    options.ssl = &ssl;
  }

  if (events_.arrived) finder_.emplace(address.port);
  const int code = MQTTAsync_connect(handle_, &options);
  Answer answer{.there = true, .code = code};
  if (code == MQTTASYNC_SUCCESS) answer = wait_for_answer(patience(), session_.stop);
  MQTTProperties_free(&properties);
  if (!answer.there)
    throw Unavailable(fmt::format("Connection.server: {} does not answer", connection_.server));
  if (is_refusal(answer.code) || (answer.code != 0 && !tls_errors_.empty()))
    throw Error(description(answer));
  if (answer.code != 0) throw Unavailable(description(answer));
  if (events_.arrived && sockets_.size() != 1)
    throw Unavailable(
        fmt::format("{}: could not tell the connection's socket, because others connect to it at "
                    "the same time, or because it is cut already",
                    connection_.server));
}

/// Before any message arrives, and on the same thread. Without memory it ends the process, as we
/// could not keep an acknowledgement back.
void Client::accepted(bool session_present, const Limits& limits) noexcept {
  session_present_ = session_present;
  limits_ = limits;
  if (finder_) sockets_ = finder_->added();
  finder_.reset();
  answered({.there = true});
}

std::string Client::description(const Answer& answer) const {
  const char* setting = "";
  switch (answer.code) {
    case 4:
    case 0x86:
      setting = "Connection.user, password: ";
      break;
    case 5:
    case 0x87:
      setting = "Connection.user, password, client_id: ";
      break;
    case 2:
    case 0x85:
      setting = "Connection.client_id: ";
      break;
    case 1:
    case 0x84:
      setting = "Connection.version: ";
      break;
    default:
      if (!tls_errors_.empty())
        setting = "Connection.tls: ";
      else if (address_of(connection_.server).tls)  // a wrong host name is reported no better
        setting = "Connection.server, tls: ";
      else
        setting = "Connection.server: ";
  }
  return fmt::format("{}{} refuses the connection: {}{}code {}", setting, connection_.server,
                     answer.text.empty() ? "" : answer.text + ", ",
                     tls_errors_.empty() ? "" : tls_errors_ + ", ", answer.code);
}

void Client::subscribe(const std::vector<Subscription>& subscriptions) {
  MQTTAsync_responseOptions response = MQTTAsync_responseOptions_initializer;
  response.context = this;
  if (is_v5()) {
    response.onSuccess5 = [](void* self, MQTTAsync_successData5* data) {
      Answer answer{.there = true};
      const auto& sub = data->alt.sub;
      // Paho puts the codes into an array when there are several, else beside it.
      if (sub.reasonCodeCount > 1)
        for (int i = 0; i < sub.reasonCodeCount; ++i)
          answer.granted.push_back(static_cast<int>(sub.reasonCodes[i]));
      else
        answer.granted.push_back(static_cast<int>(data->reasonCode));
      static_cast<Client*>(self)->answered(std::move(answer));
    };
    response.onFailure5 = [](void* self, MQTTAsync_failureData5* data) {
      const int reason = static_cast<int>(data->reasonCode);
      static_cast<Client*>(self)->answered({.there = true, .code = reason != 0 ? reason : -1});
    };
  } else {
    response.onSuccess = [](void* self, MQTTAsync_successData* data) {
      static_cast<Client*>(self)->answered({.there = true, .text = "", .granted = {data->alt.qos}});
    };
    response.onFailure = [](void* self, MQTTAsync_failureData* data) {
      static_cast<Client*>(self)->answered(
          {.there = true, .code = data->code != 0 ? data->code : -1});
    };
  }
  // One by one: every broker tells in the same way which one it refuses.
  for (const auto& subscription : subscriptions) {
    const int code =
        MQTTAsync_subscribe(handle_, subscription.filter.c_str(), subscription.qos, &response);
    if (code != MQTTASYNC_SUCCESS)
      throw Unavailable(fmt::format("{}: cannot subscribe to {} (code {})", connection_.server,
                                    subscription.filter, code));
    const Answer answer = wait_for_answer(patience(), session_.stop);
    if (!answer.there)
      throw Unavailable(fmt::format("{} does not answer to the subscription to {}",
                                    connection_.server, subscription.filter));
    const int granted = answer.granted.empty() ? answer.code : answer.granted.front();
    if (answer.code >= 0x80 || granted >= 0x80)
      throw Error(fmt::format("SourceOptions.subscriptions: {} refuses '{}' (code {})",
                              connection_.server, subscription.filter,
                              std::max(answer.code, granted)));
    if (answer.code != 0)
      throw Unavailable(fmt::format("{}: subscribing to {} failed (code {})", connection_.server,
                                    subscription.filter, answer.code));
  }
}

std::optional<std::string> Client::publish(const Message& message, std::uint64_t put,
                                           std::size_t index) {
  Sent* sent = nullptr;
  {
    const std::lock_guard lock(mutex_);
    if (free_sent_.empty()) {
      sent = &sent_.emplace_back();
    } else {
      sent = free_sent_.back();
      free_sent_.pop_back();
    }
    *sent = {this, put, index};
  }
  MQTTAsync_responseOptions response = MQTTAsync_responseOptions_initializer;
  response.context = sent;
  if (is_v5()) {
    response.onSuccess5 = [](void* context, MQTTAsync_successData5*) { ended(context, {}, false); };
    response.onFailure5 = [](void* context, MQTTAsync_failureData5* data) {
      const int code = static_cast<int>(data->reasonCode);
      ended(context, fmt::format("the broker refuses the message (code {})", code), may_pass(code));
    };
  } else {
    response.onSuccess = [](void* context, MQTTAsync_successData*) { ended(context, {}, false); };
    response.onFailure = [](void* context, MQTTAsync_failureData* data) {
      ended(context, fmt::format("the message was not sent (code {})", data->code), true);
    };
  }
  const int code =
      MQTTAsync_send(handle_, message.topic.c_str(), static_cast<int>(message.payload.size()),
                     message.payload.data(), message.qos, message.retain ? 1 : 0, &response);
  if (code == MQTTASYNC_SUCCESS) return std::nullopt;
  {
    const std::lock_guard lock(mutex_);
    free_sent_.push_back(sent);
  }
  return fmt::format("Paho does not take the message (code {})", code);
}

void Client::ended(void* context, std::string error, bool transient) {
  const Sent of = *static_cast<Sent*>(context);
  {
    const std::lock_guard lock(of.client->mutex_);
    of.client->free_sent_.push_back(static_cast<Sent*>(context));
  }
  of.client->events_.published(of.put, of.index, std::move(error), transient);
}

Client::Answer Client::wait_for_answer(Duration timeout, const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, stop, timeout, [&] { return answer_.there || gone_; });
  return std::exchange(answer_, {});
}

void Client::set_gone() {
  const std::lock_guard lock(mutex_);
  gone_ = true;
  changed_.notify_all();
}

void Client::answered(Answer answer) {
  const std::lock_guard lock(mutex_);
  answer_ = std::move(answer);
  changed_.notify_all();
}

/// Paho acknowledges when this returns, whatever it returns.
int Client::arrived(char* topic, int topic_length, MQTTAsync_message* message) noexcept {
  bool safe = false;
  try {
    Message copy{.topic = topic_length > 0
                              ? std::string(topic, static_cast<std::size_t>(topic_length))
                              : std::string(topic),
                 .payload = std::string(static_cast<const char*>(message->payload),
                                        static_cast<std::size_t>(message->payloadlen)),
                 .qos = static_cast<std::uint8_t>(message->qos),
                 .retain = message->retained != 0,
                 .duplicate = message->dup != 0};
    safe = sockets_.size() == 1 && events_.arrived(std::move(copy));
  } catch (...) {  // no memory
  }
  if (!safe) {
    for (const Socket& socket : sockets_) cut(socket);  // in doubt, rather one too many
    set_gone();
  }
  MQTTAsync_freeMessage(&message);
  MQTTAsync_free(topic);
  return 1;
}

}  // namespace microbatch::inline v0_1::mqtt
