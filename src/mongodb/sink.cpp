#include <fmt/format.h>

#include <microbatch/core/errors.hpp>
#include <microbatch/mongodb/sink.hpp>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "client.hpp"

namespace microbatch::inline v0_1::mongodb {

namespace {

constexpr std::size_t max_document = 16 * 1024 * 1024;

template <class E>
std::exception_ptr error_of(std::string text) {
  return std::make_exception_ptr(E(text));
}

}  // namespace

class Sink::Impl {
 public:
  explicit Impl(SinkOptions options)
      : options_((options.check(), std::move(options))),
        client_("SinkOptions", options_.uri, options_.connect_timeout, options_.timeout) {
    client_.ping(options_.database);
    collection_ = client_.collection(options_.database, options_.collection);
  }

  PutErrors put(std::span<const Document> documents);

 private:
  [[nodiscard]] std::optional<std::string> add(mongoc_bulk_operation_t* bulk,
                                               const Document& document) const;
  void take_write_errors(const bson_t& reply, const std::vector<std::size_t>& sent,
                         PutErrors& errors) const;

  const SinkOptions options_;
  std::mutex putting_;
  Client client_;
  Collection collection_;
};

/// What is wrong with the document, or nothing: then it is a part of the operation.
std::optional<std::string> Sink::Impl::add(mongoc_bulk_operation_t* bulk,
                                           const Document& document) const {
  bson_t bson;
  if (document.bson().size() > max_document)
    return fmt::format("the document has {} bytes; MongoDB allows {}", document.bson().size(),
                       max_document);
  if (!view(document, bson)) return "the bytes are no BSON document";
  bson_error_t error{};
  if (options_.upsert_by.empty()) {
    if (!mongoc_bulk_operation_insert_with_opts(bulk, &bson, nullptr, &error)) return error.message;
    return std::nullopt;
  }
  bson_iter_t field;
  if (!bson_iter_init_find(&field, &bson, options_.upsert_by.c_str()))
    return fmt::format("the document has no field '{}' (SinkOptions.upsert_by)",
                       options_.upsert_by);
  const Bson selector(bson_new());
  bson_append_iter(selector.get(), nullptr, 0, &field);
  const Bson upsert(BCON_NEW("upsert", BCON_BOOL(true)));
  if (!mongoc_bulk_operation_replace_one_with_opts(bulk, selector.get(), &bson, upsert.get(),
                                                   &error))
    return error.message;
  return std::nullopt;
}

PutErrors Sink::Impl::put(std::span<const Document> documents) {
  const std::lock_guard one(putting_);
  PutErrors errors;
  const Bson how(BCON_NEW("ordered", BCON_BOOL(options_.ordered)));
  const Bulk bulk(mongoc_collection_create_bulk_operation_with_opts(collection_.get(), how.get()));
  std::vector<std::size_t> sent;  // the document of each write in the operation
  for (std::size_t i = 0; i < documents.size(); ++i) {
    auto fault = add(bulk.get(), documents[i]);
    if (!fault)
      sent.push_back(i);
    else
      errors.push_back({i, error_of<Error>(std::move(*fault))});
  }
  if (sent.empty()) return errors;

  bson_t reply;
  bson_error_t error{};
  const bool good = mongoc_bulk_operation_execute(bulk.get(), &reply, &error) != 0;
  const Bson reply_owner(bson_copy(&reply));
  bson_destroy(&reply);
  if (good) return errors;
  const std::size_t before = errors.size();
  take_write_errors(*reply_owner, sent, errors);
  // Not a matter of single documents: nobody knows which were written, so all are put again.
  if (errors.size() == before) {
    if (Client::may_pass(error)) client_.fail("SinkOptions.uri: the bulk write failed", error);
    client_.fail(fmt::format("SinkOptions: {}.{} does not take the bulk write", options_.database,
                             options_.collection),
                 error);
  }
  return errors;
}

/// {"writeErrors": [{"index": 3, "code": 11000, "errmsg": "..."}, ...], ...}
void Sink::Impl::take_write_errors(const bson_t& reply, const std::vector<std::size_t>& sent,
                                   PutErrors& errors) const {
  bson_iter_t list, entry, value;
  if (!bson_iter_init_find(&list, &reply, "writeErrors") || !bson_iter_recurse(&list, &entry))
    return;
  std::optional<std::size_t> stopped_at;
  while (bson_iter_next(&entry)) {
    std::size_t index = sent.size();
    bson_error_t error{};
    std::string text;
    if (bson_iter_recurse(&entry, &value)) {
      while (bson_iter_next(&value)) {
        const std::string_view key = bson_iter_key(&value);
        if (key == "index") index = static_cast<std::size_t>(bson_iter_as_int64(&value));
        if (key == "code") error.code = static_cast<std::uint32_t>(bson_iter_as_int64(&value));
        if (key == "errmsg" && BSON_ITER_HOLDS_UTF8(&value)) text = bson_iter_utf8(&value, nullptr);
      }
    }
    if (index >= sent.size()) continue;
    error.domain = MONGOC_ERROR_SERVER;
    text = client_.clean(fmt::format("{} (code {})", text, error.code));
    errors.push_back({sent[index], Client::may_pass(error) ? error_of<Unavailable>(text)
                                                           : error_of<Error>(text)});
    stopped_at = index;
  }
  if (!options_.ordered || !stopped_at) return;
  for (std::size_t i = *stopped_at + 1; i < sent.size(); ++i)
    errors.push_back({sent[i], error_of<Unavailable>("not tried: a document before it failed")});
}

void SinkOptions::check() const {
  (void)parse_uri("SinkOptions.uri", uri);
  check_name("SinkOptions.database", database);
  check_name("SinkOptions.collection", collection);
  if (!upsert_by.empty()) check_name("SinkOptions.upsert_by", upsert_by);
  for (const auto& [field, d] :
       {std::pair("connect_timeout", connect_timeout), std::pair("timeout", timeout)})
    if (d < std::chrono::milliseconds(1))
      throw ConfigError(
          fmt::format("SinkOptions.{} must be at least 1 ms, got {} ns", field, d.count()));
}

Sink::Sink(SinkOptions options) : impl_(std::make_unique<Impl>(std::move(options))) {}
Sink::Sink(Sink&&) noexcept = default;
Sink& Sink::operator=(Sink&&) noexcept = default;
Sink::~Sink() = default;

PutErrors Sink::put(std::span<const Document> documents) { return impl_->put(documents); }

}  // namespace microbatch::inline v0_1::mongodb
