// Whatever bytes are put into a document, and whatever stands in a position, it is that or an
// error.

#include <microbatch/io/position_file.hpp>
#include <microbatch/mongodb/document.hpp>
#include <microbatch/mongodb/errors.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "mongodb/position.hpp"

namespace {

using microbatch::mongodb::Document;
using microbatch::mongodb::Position;

void require(bool holds) {
  if (!holds) std::abort();
}

void check_document(const std::string& bytes) {
  const auto document = Document::from_bson(bytes);
  try {
    const auto json = document.to_json();
    require(document.valid());
    require(!json.empty());
  } catch (const microbatch::mongodb::Error&) {
  }
  try {
    require(Document::from_json(bytes).bson().size() >= 5);  // the smallest document
  } catch (const microbatch::mongodb::Error&) {
  }
}

void check_position(std::string_view text, std::string_view field) {
  try {
    const auto position = Position::decode(text, field);
    bson_iter_t place;
    require(position.find(place));
    const auto again = Position::decode(position.encode(), field);
    require(again.encode() == position.encode());
    require(again.clone().encode() == position.encode());
  } catch (const microbatch::PositionError&) {
  }
}

}  // namespace

// NOLINTNEXTLINE(readability-identifier-naming): the fuzzer's name for it
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string bytes(reinterpret_cast<const char*>(data), size);
  check_document(bytes);
  check_position(bytes, "_id");
  check_position(bytes, "");
  return 0;
}
