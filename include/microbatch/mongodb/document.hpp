#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace microbatch::inline v0_1::mongodb {

/// One document, as BSON bytes. Those who have libbson (or another BSON library) read and write the
/// bytes; for the others there is MongoDB's extended JSON.
///
/// Nothing is checked until it is used: a sink refuses bytes that are no document.
class Document {
 public:
  Document() = default;  ///< no bytes, which is no document
  [[nodiscard]] static Document from_bson(std::string bytes) { return Document(std::move(bytes)); }
  /// Error where the text is no JSON object.
  [[nodiscard]] static Document from_json(std::string_view text);

  [[nodiscard]] const std::string& bson() const noexcept { return bytes_; }
  /// Relaxed extended JSON. Error where the bytes are no document.
  [[nodiscard]] std::string to_json() const;
  /// They are a document: lengths, types and UTF-8 are right.
  [[nodiscard]] bool valid() const noexcept;

  friend bool operator==(const Document&, const Document&) = default;

 private:
  explicit Document(std::string bytes) : bytes_(std::move(bytes)) {}
  std::string bytes_;
};

}  // namespace microbatch::inline v0_1::mongodb
