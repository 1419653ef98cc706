#pragma once

#include <memory>
#include <string>
#include <utility>

#include "../durable/durable_streaming.hpp"
#include "storage.hpp"

namespace microbatch::inline v0_1::sqlite {

/// Settings of a stream in a file.
struct StreamOptions {
  DurableOptions append{};
  FileOptions file{};
  bool keep = false;  ///< items stay in the file after they were delivered, for replay
};

/// A durable stream in an SQLite file; see microbatch::DurableStream.
///
///     microbatch::sqlite::DurableStream<std::string> orders("shop.db", "orders");
///     orders.append("three boats", microbatch::synced).get();
///     auto consumer = microbatch::streaming(orders, microbatch::CountWindow{100},
///         [](auto& window) {
///           for (auto& order : window)
///             window.transaction().execute("INSERT INTO sold VALUES (?)", order);
///         });
template <class T, Codec<T> C = DefaultCodec<T>>
class DurableStream : public microbatch::DurableStream<T, Storage, C> {
  using Base = microbatch::DurableStream<T, Storage, C>;

 public:
  DurableStream(const std::string& path, const std::string& name, const StreamOptions& options = {},
                C codec = {})
      : DurableStream(std::make_shared<Database>(path, options.file), name, options,
                      std::move(codec)) {}
  DurableStream(std::shared_ptr<Database> database, const std::string& name,
                const StreamOptions& options = {}, C codec = {})
      : Base(std::make_shared<Storage>(std::move(database), name,
                                       Storage::StreamSettings{.codec = std::string(codec.name()),
                                                               .codec_version = codec.version(),
                                                               .keep = options.keep}),
             options.append, codec) {}
};

/// The window that the callback of a stream in an SQLite file gets.
template <class T>
using Window = DurableWindow<T, Storage>;

}  // namespace microbatch::inline v0_1::sqlite
