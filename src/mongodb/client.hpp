#pragma once

#include <mongoc/mongoc.h>

#include <memory>
#include <microbatch/core/clock.hpp>
#include <microbatch/io/secret.hpp>
#include <microbatch/mongodb/errors.hpp>
#include <string>

#include "bson.hpp"

namespace microbatch::inline v0_1::mongodb {

using Uri = std::unique_ptr<mongoc_uri_t, Destroy<mongoc_uri_destroy>>;
using Collection = std::unique_ptr<mongoc_collection_t, Destroy<mongoc_collection_destroy>>;
using Cursor = std::unique_ptr<mongoc_cursor_t, Destroy<mongoc_cursor_destroy>>;
using ChangeStream = std::unique_ptr<mongoc_change_stream_t, Destroy<mongoc_change_stream_destroy>>;
using Bulk = std::unique_ptr<mongoc_bulk_operation_t, Destroy<mongoc_bulk_operation_destroy>>;

/// Checks a connection string and its options; ConfigError names `field`, and never the password.
[[nodiscard]] Uri parse_uri(const char* field, const Secret& uri);
void check_name(const char* field, const std::string& name);

/// A connection to a server, or to several that are one to us.
///
/// Threads: one at a time. It stays usable when the connection is lost: libmongoc makes it again.
class Client {
 public:
  /// `options`: "SourceOptions" or "SinkOptions", for the errors.
  Client(std::string options, const Secret& uri, Duration connect_timeout, Duration socket_timeout);
  /// Asks the server for a sign of life.
  void ping(const std::string& database);

  [[nodiscard]] mongoc_client_t* get() const noexcept { return client_.get(); }
  [[nodiscard]] Collection collection(const std::string& database, const std::string& name) const;

  /// Unavailable where it may pass, Error otherwise, with the password taken out.
  [[noreturn]] void fail(const std::string& what, const bson_error_t& error) const;
  [[nodiscard]] static bool may_pass(const bson_error_t& error) noexcept;
  [[nodiscard]] std::string clean(std::string text) const;

 private:
  std::string options_;
  Uri uri_;
  std::unique_ptr<mongoc_client_t, Destroy<mongoc_client_destroy>> client_;
};

}  // namespace microbatch::inline v0_1::mongodb
