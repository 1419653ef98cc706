#include <fmt/format.h>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <microbatch/core/errors.hpp>
#include <microbatch/mongodb/source.hpp>
#include <mutex>
#include <utility>

#include "../io/position_keeper.hpp"
#include "client.hpp"
#include "position.hpp"

namespace microbatch::inline v0_1::mongodb {

class Source::Impl {
 public:
  explicit Impl(SourceOptions options)
      : options_((options.check(), std::move(options))),
        client_("SourceOptions", options_.uri, options_.connect_timeout, options_.timeout),
        keeper_(options_.position, options_.save_every, [this] {
          const std::lock_guard lock(mutex_);
          return committed_.encode();
        }) {}

  bool next(Document& document, std::int64_t& offset, const std::stop_token& stop);
  void commit(std::int64_t offset);
  void set_running(bool running) {
    try {
      keeper_.set_running(running);
    } catch (const std::exception& error) {  // it is tried again with the next commit
      event(error.what());
    }
  }

 private:
  enum class Got : std::uint8_t { document, nothing };

  void start();
  void open();
  Got read(Document& document, std::int64_t& offset);
  Got read_change(Document& document, std::int64_t& offset);
  void load_position();
  void remember(std::int64_t& offset);
  void remember_idle();
  void check_collection();
  void pause(Duration d, const std::stop_token& stop);
  void event(const std::string& text) const {
    if (options_.on_event) options_.on_event(text);
  }

  const SourceOptions options_;
  Client client_;
  detail::PositionKeeper keeper_;

  // The reading thread's.
  Collection collection_;
  Cursor cursor_;
  ChangeStream changes_;
  Position last_;  // of the last document that was read
  bool started_ = false;
  Duration delay_{};  // before the next attempt

  std::mutex mutex_;
  std::condition_variable_any wake_;
  struct Sent {
    std::int64_t offset;
    Position position;
  };
  std::deque<Sent> sent_;  // not committed yet
  Position committed_;     // the last one that has
  std::int64_t next_offset_ = 0;
};

bool Source::Impl::next(Document& document, std::int64_t& offset, const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    try {
      if (!started_) {
        start();
        started_ = true;  // from here on, losses are made good
      }
      if (!cursor_ && !changes_) open();
      const Got got =
          options_.read == Read::changes ? read_change(document, offset) : read(document, offset);
      delay_ = Duration::zero();
      if (got == Got::document) return true;
      try {
        keeper_.save_if_due();
      } catch (const std::exception& error) {
        event(error.what());
      }
      if (options_.read == Read::changes) continue;  // the server has made us wait already
      cursor_.reset();
      if (!options_.follow) return false;
      pause(options_.poll_interval, stop);
    } catch (const Unavailable& error) {
      cursor_.reset();
      changes_.reset();
      if (stop.stop_requested()) return false;
      if (!started_) throw;
      delay_ = std::clamp<Duration>(
          delay_ * 2, std::chrono::milliseconds(100),
          std::max<Duration>(options_.reconnect_max, std::chrono::milliseconds(100)));
      event(fmt::format("{}; trying again in {} ms", error.what(), delay_.count() / 1'000'000));
      pause(delay_, stop);
    }
  }
  return false;
}

void Source::Impl::start() {
  load_position();
  client_.ping(options_.database);
  if (options_.read == Read::documents) check_collection();
  collection_ = client_.collection(options_.database, options_.collection);
}

void Source::Impl::check_collection() {
  const Bson only(BCON_NEW("filter", "{", "name", BCON_UTF8(options_.collection.c_str()), "}"));
  const std::unique_ptr<mongoc_database_t, Destroy<mongoc_database_destroy>> database(
      mongoc_client_get_database(client_.get(), options_.database.c_str()));
  const Cursor cursor(mongoc_database_find_collections_with_opts(database.get(), only.get()));
  const bson_t* found = nullptr;
  bson_iter_t name;
  while (mongoc_cursor_next(cursor.get(), &found))  // not every server filters
    if (bson_iter_init_find(&name, found, "name") && BSON_ITER_HOLDS_UTF8(&name) &&
        options_.collection == bson_iter_utf8(&name, nullptr))
      return;
  bson_error_t error{};
  if (mongoc_cursor_error(cursor.get(), &error))
    client_.fail("SourceOptions.database: cannot list its collections", error);
  throw Error(fmt::format("SourceOptions.collection: there is no '{}' in the database '{}'",
                          options_.collection, options_.database));
}

void Source::Impl::load_position() {
  const auto text = keeper_.load();
  if (!text) return;
  try {
    last_ = Position::decode(*text, options_.read == Read::documents ? options_.order_by : "");
  } catch (const PositionError& error) {
    throw PositionError(fmt::format("SourceOptions.position: {} {}. Remove it to begin anew",
                                    options_.position.string(), error.what()));
  }
}

void Source::Impl::open() {
  if (options_.read == Read::changes) {
    const Bson pipeline(BCON_NEW("pipeline", "[", "]"));
    const Bson how(bson_new());
    BSON_APPEND_INT64(how.get(), "maxAwaitTimeMS", 250);
    bson_iter_t token;
    if (last_.find(token)) bson_append_iter(how.get(), "resumeAfter", -1, &token);
    changes_.reset(mongoc_collection_watch(collection_.get(), pipeline.get(), how.get()));
    return;
  }
  Bson filter = options_.filter.empty() ? Bson(bson_new()) : bson_from_json(options_.filter);
  bson_iter_t last;
  if (last_.find(last)) {
    const Bson behind(bson_new());
    bson_t greater, both;
    bson_append_document_begin(behind.get(), options_.order_by.c_str(), -1, &greater);
    bson_append_iter(&greater, "$gt", -1, &last);
    bson_append_document_end(behind.get(), &greater);
    Bson all(bson_new());
    bson_append_array_begin(all.get(), "$and", -1, &both);
    BSON_APPEND_DOCUMENT(&both, "0", filter.get());
    BSON_APPEND_DOCUMENT(&both, "1", behind.get());
    bson_append_array_end(all.get(), &both);
    filter = std::move(all);
  }
  const Bson how(BCON_NEW("sort", "{", options_.order_by.c_str(), BCON_INT32(1), "}"));
  cursor_.reset(
      mongoc_collection_find_with_opts(collection_.get(), filter.get(), how.get(), nullptr));
}

Source::Impl::Got Source::Impl::read(Document& document, std::int64_t& offset) {
  const bson_t* found = nullptr;
  if (!mongoc_cursor_next(cursor_.get(), &found)) {
    bson_error_t error{};
    if (mongoc_cursor_error(cursor_.get(), &error))
      client_.fail(fmt::format("reading {}.{} failed", options_.database, options_.collection),
                   error);
    return Got::nothing;
  }
  bson_iter_t key;
  if (!bson_iter_init_find(&key, found, options_.order_by.c_str()))
    throw Error(fmt::format(
        "SourceOptions.order_by: a document has no field '{}', so its place is unknown: {:.200}",
        options_.order_by, json_of(*found)));
  last_ = Position::behind(options_.order_by, key);
  remember(offset);
  document = copy_of(*found);
  return Got::document;
}

Source::Impl::Got Source::Impl::read_change(Document& document, std::int64_t& offset) {
  const bson_t* found = nullptr;
  const bool there = mongoc_change_stream_next(changes_.get(), &found);
  if (!there) {
    bson_error_t error{};
    const bson_t* reply = nullptr;
    if (mongoc_change_stream_error_document(changes_.get(), &error, &reply))
      client_.fail(fmt::format("SourceOptions.read: following the changes of {}.{} failed",
                               options_.database, options_.collection),
                   error);
  }
  const bson_t* token = mongoc_change_stream_get_resume_token(changes_.get());
  if (token != nullptr) last_ = Position::behind_change(*token);
  if (!there) {
    if (token != nullptr) remember_idle();
    return Got::nothing;
  }
  if (token == nullptr)
    throw Error("SourceOptions.read: the server's change has no token to go on from");
  remember(offset);
  document = copy_of(*found);
  return Got::document;
}

void Source::Impl::remember(std::int64_t& offset) {
  const std::lock_guard lock(mutex_);
  offset = next_offset_++;
  sent_.push_back({offset, last_.clone()});
}

/// Nothing has changed, and nothing is on its way: the next start may go on from here.
void Source::Impl::remember_idle() {
  {
    const std::lock_guard lock(mutex_);
    if (!sent_.empty()) return;
    committed_ = last_.clone();
  }
  try {
    keeper_.moved();
  } catch (const std::exception& error) {
    event(error.what());
  }
}

void Source::Impl::commit(std::int64_t offset) {
  {
    const std::lock_guard lock(mutex_);
    if (sent_.empty() || sent_.front().offset > offset) return;
    while (!sent_.empty() && sent_.front().offset <= offset) {
      committed_ = std::move(sent_.front().position);
      sent_.pop_front();
    }
  }
  keeper_.moved();
}

void Source::Impl::pause(Duration d, const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  wake_.wait_for(lock, stop, d, [] { return false; });
}

void SourceOptions::check() const {
  (void)parse_uri("SourceOptions.uri", uri);
  check_name("SourceOptions.database", database);
  check_name("SourceOptions.collection", collection);
  check_name("SourceOptions.order_by", order_by);
  if (!filter.empty() && !bson_from_json(filter))
    throw ConfigError(
        fmt::format("SourceOptions.filter must be a JSON object, got '{:.200}'", filter));
  if (!filter.empty() && read == Read::changes)
    throw ConfigError("SourceOptions.filter is for Read::documents");
  for (const auto& [field, d] :
       {std::pair("poll_interval", poll_interval), std::pair("connect_timeout", connect_timeout),
        std::pair("timeout", timeout), std::pair("reconnect_max", reconnect_max)})
    if (d < std::chrono::milliseconds(1))
      throw ConfigError(
          fmt::format("SourceOptions.{} must be at least 1 ms, got {} ns", field, d.count()));
  if (save_every < Duration::zero())
    throw ConfigError(fmt::format("SourceOptions.save_every must not be negative, got {} ns",
                                  save_every.count()));
}

Source::Source(SourceOptions options) : impl_(std::make_unique<Impl>(std::move(options))) {}
Source::Source(Source&&) noexcept = default;
Source::~Source() = default;

bool Source::next(Document& document, std::int64_t& offset, const std::stop_token& stop) {
  return impl_->next(document, offset, stop);
}
void Source::commit(const Origin& last) { impl_->commit(last.offset); }

Source::Running::Running(Source& source) : source_(source) { source_.impl_->set_running(true); }
Source::Running::~Running() { source_.impl_->set_running(false); }

}  // namespace microbatch::inline v0_1::mongodb
