#pragma once

#include <chrono>
#include <memory>
#include <span>
#include <string>

#include "../concepts/sink.hpp"
#include "../core/clock.hpp"
#include "../io/secret.hpp"
#include "document.hpp"
#include "errors.hpp"

namespace microbatch::inline v0_1::mongodb {

struct SinkOptions {
  Secret uri{};  ///< as SourceOptions::uri; its write concern holds
  std::string database{};
  std::string collection{};
  /// Empty: documents are inserted. A field, such as _id: the document with the same value of it is
  /// replaced, or else made; then a put that is repeated changes nothing.
  std::string upsert_by{};
  /// Stop at the first document that fails, and put what is behind it again.
  bool ordered = false;
  Duration connect_timeout = std::chrono::seconds(30);
  Duration timeout = std::chrono::seconds(30);  ///< for the server's answer

  void check() const;
};

/// Writes a window in one bulk operation.
///
/// put() tells which documents failed. What lies in the document (no BSON, above 16 MiB, a
/// duplicate key, a validator's refusal, no upsert_by field) is an Error, and ends its item as a
/// dead letter; everything else is Unavailable, and put again. After an answer that got lost it is
/// not known what was written, so a repeated insert may double documents that have no _id of their
/// own; use upsert_by.
///
/// Threads: any; one put at a time goes on. Errors: ConfigError at construction, which also
/// connects: Unavailable when no server answers within connect_timeout, Error when it refuses the
/// user.
///
///     mongodb::Sink sink({.uri = "mongodb://localhost", .database = "shop",
///                         .collection = "totals", .upsert_by = "_id"});
class Sink {
 public:
  explicit Sink(SinkOptions options);
  Sink(Sink&&) noexcept;
  Sink& operator=(Sink&&) noexcept;
  ~Sink();

  [[nodiscard]] PutErrors put(std::span<const Document> documents);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace microbatch::inline v0_1::mongodb
