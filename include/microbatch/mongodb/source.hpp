#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <utility>

#include "../io/secret.hpp"
#include "../pipeline.hpp"
#include "document.hpp"
#include "errors.hpp"

namespace microbatch::inline v0_1::mongodb {

/// What a source reads.
enum class Read : std::uint8_t {
  documents,  ///< those of the collection, in the order of order_by
  changes,    ///< what happens to the collection from now on: a change stream's events
};

struct SourceOptions {
  Secret uri{};  ///< mongodb://user:password@host:port/?option=value; libmongoc's options
  std::string database{};
  std::string collection{};
  Read read = Read::documents;
  std::string order_by = "_id";  ///< a field that all have, and whose values differ; best indexed
  std::string filter{};          ///< of documents, as JSON: {"kind": "order"}; empty: all
  bool follow = false;           ///< documents: wait for more at the end
  std::filesystem::path position{};                  ///< where the position is kept; empty: nowhere
  Duration poll_interval = std::chrono::seconds(1);  ///< at the end, how often to look for more
  Duration save_every = std::chrono::seconds(1);     ///< see FileSourceOptions
  Duration connect_timeout = std::chrono::seconds(30);  ///< the first connection
  /// For each answer of the server; a source that is told to stop may take so long.
  Duration timeout = std::chrono::seconds(30);
  Duration reconnect_max = std::chrono::seconds(30);   ///< between attempts, from 100 ms, doubling
  std::function<void(const std::string&)> on_event{};  ///< connections lost and made, in words

  void check() const;
};

/// Reads a collection in order, or follows its changes, from the kept position.
///
/// The position is the order_by value (or the change stream's token) of the last document that has
/// committed, so a restart goes on behind it: nothing is missed, and after a normal end nothing is
/// read twice. Documents that appear behind the position later (a smaller order_by than what was
/// read) are not seen; changes miss nothing.
///
/// Threads: run() on one; commit() any. Errors: ConfigError at construction; run() throws
/// Unavailable when no server answers within connect_timeout, and Error when it refuses the user,
/// lacks the collection or change streams. Later losses are made good.
///
///     mongodb::Source source({.uri = "mongodb://localhost", .database = "shop",
///                             .collection = "orders", .position = "orders.position"});
class Source {
 public:
  using value_type = Document;

  explicit Source(SourceOptions options);
  Source(Source&&) noexcept;
  ~Source();

  void run(Feed<Document>& feed, const std::stop_token& stop) {
    const Running running(*this);
    Document document;
    Origin origin{.partition = 0};
    while (next(document, origin.offset, stop))
      if (feed.append(std::move(document), origin, stop) == AppendResult::closed) return;
  }
  void commit(const Origin& last);

 private:
  class Impl;
  class Running {
   public:
    explicit Running(Source& source);
    Running(const Running&) = delete;
    Running& operator=(const Running&) = delete;
    ~Running();

   private:
    Source& source_;
  };

  /// False at the end, or when told to stop.
  bool next(Document& document, std::int64_t& offset, const std::stop_token& stop);

  std::unique_ptr<Impl> impl_;
};

}  // namespace microbatch::inline v0_1::mongodb
