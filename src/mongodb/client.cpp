#include "client.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <microbatch/core/errors.hpp>
#include <mutex>

namespace microbatch::inline v0_1::mongodb {

namespace {

void initialise_libmongoc() {
  static std::once_flag once;
  std::call_once(once, [] { mongoc_init(); });
}

/// Server codes of what may pass: MongoDB's error_codes.yml (retriable, not primary, shutting down,
/// network, time limits, write conflicts).
bool is_passing_code(std::uint32_t code) {
  constexpr std::uint32_t codes[] = {6,    7,     50,    63,    89,    91,    112,
                                     133,  134,   150,   189,   234,   262,   8000,
                                     9001, 10107, 11600, 11602, 13388, 13435, 13436};
  return std::ranges::find(codes, code) != std::end(codes);
}

bool is_known_option(const std::string& name) {
  return mongoc_uri_option_is_int32(name.c_str()) || mongoc_uri_option_is_int64(name.c_str()) ||
         mongoc_uri_option_is_bool(name.c_str()) || mongoc_uri_option_is_utf8(name.c_str()) ||
         strcasecmp(name.c_str(), MONGOC_URI_READPREFERENCETAGS) == 0 ||
         strcasecmp(name.c_str(), MONGOC_URI_AUTHMECHANISMPROPERTIES) == 0;
}

}  // namespace

Uri parse_uri(const char* field, const Secret& secret) {
  initialise_libmongoc();
  const std::string& text = secret.reveal();
  if (const auto question = text.find('?'); question != std::string::npos) {
    std::string_view options = std::string_view(text).substr(question + 1);
    while (!options.empty()) {
      const auto end = std::min(options.find('&'), options.size());
      const std::string name(options.substr(0, std::min(options.find('='), end)));
      if (!is_known_option(name))
        throw ConfigError(fmt::format("{}: libmongoc knows no option '{}'", field, name));
      options.remove_prefix(std::min(end + 1, options.size()));
    }
  }
  bson_error_t error{};
  Uri uri(mongoc_uri_new_with_error(text.c_str(), &error));
  // libmongoc's text may quote the connection string, and with it the password.
  if (!uri)
    throw ConfigError(fmt::format(
        "{} must be mongodb://[USER:PASSWORD@]HOST[:PORT]/[?OPTIONS], and libmongoc cannot read it",
        field));
  return uri;
}

void check_name(const char* field, const std::string& name) {
  if (name.empty() || name.find_first_of(std::string_view("\0$", 2)) != std::string::npos)
    throw ConfigError(
        fmt::format("{} must be a name without a $ or a null byte, got '{}'", field, name));
}

Client::Client(std::string options, const Secret& uri, Duration connect_timeout,
               Duration socket_timeout)
    : options_(std::move(options)), uri_(parse_uri((options_ + ".uri").c_str(), uri)) {
  const auto ms = [](Duration d) {
    return static_cast<std::int32_t>(std::clamp<Duration::rep>(
        std::chrono::ceil<std::chrono::milliseconds>(d).count(), 1, 1'000'000'000));
  };
  // What the connection string says, holds.
  const auto set = [&](const char* name, Duration d) {
    if (!mongoc_uri_has_option(uri_.get(), name))
      mongoc_uri_set_option_as_int32(uri_.get(), name, ms(d));
  };
  set(MONGOC_URI_SERVERSELECTIONTIMEOUTMS, connect_timeout);
  set(MONGOC_URI_CONNECTTIMEOUTMS, connect_timeout);
  set(MONGOC_URI_SOCKETTIMEOUTMS, socket_timeout);
  if (!mongoc_uri_has_option(uri_.get(), MONGOC_URI_SERVERSELECTIONTRYONCE))
    mongoc_uri_set_option_as_bool(uri_.get(), MONGOC_URI_SERVERSELECTIONTRYONCE, false);
  client_.reset(mongoc_client_new_from_uri(uri_.get()));
  if (!client_) throw ConfigError(fmt::format("{}.uri: libmongoc makes no client of it", options_));
  mongoc_client_set_error_api(client_.get(), MONGOC_ERROR_API_VERSION_2);
  mongoc_client_set_appname(client_.get(), "microbatch");
}

void Client::ping(const std::string& database) {
  const Bson command = bson_from_json(R"({"ping": 1})");
  bson_error_t error{};
  if (!mongoc_client_command_simple(client_.get(), database.c_str(), command.get(), nullptr,
                                    nullptr, &error))
    fail(fmt::format("{}.uri: the server does not serve us", options_), error);
}

Collection Client::collection(const std::string& database, const std::string& name) const {
  return Collection(mongoc_client_get_collection(client_.get(), database.c_str(), name.c_str()));
}

bool Client::may_pass(const bson_error_t& error) noexcept {
  switch (error.domain) {
    case MONGOC_ERROR_STREAM:
    case MONGOC_ERROR_SERVER_SELECTION:
      return true;
    case MONGOC_ERROR_SERVER:
    case MONGOC_ERROR_WRITE_CONCERN:
      return is_passing_code(error.code) || error.domain == MONGOC_ERROR_WRITE_CONCERN;
    default:
      return false;
  }
}

void Client::fail(const std::string& what, const bson_error_t& error) const {
  std::string text = clean(fmt::format("{}: {} (code {})", what, error.message, error.code));
  if (may_pass(error)) throw Unavailable(text);
  throw Error(text);
}

std::string Client::clean(std::string text) const {
  const char* password = mongoc_uri_get_password(uri_.get());
  if (password == nullptr || *password == '\0') return text;
  const std::string_view secret = password;
  for (auto at = text.find(secret); at != std::string::npos; at = text.find(secret, at + 3))
    text.replace(at, secret.size(), "***");
  return text;
}

}  // namespace microbatch::inline v0_1::mongodb
