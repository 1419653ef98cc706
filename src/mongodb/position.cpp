#include "position.hpp"

#include <fmt/format.h>

#include <microbatch/io/position_file.hpp>
#include <string>

namespace microbatch::inline v0_1::mongodb {

namespace {

constexpr const char* value_key = "last";
constexpr const char* field_key = "documents";
constexpr const char* token_key = "changes";

}  // namespace

Position Position::behind(std::string_view field, const bson_iter_t& value) {
  Bson bson(bson_new());
  bson_append_utf8(bson.get(), field_key, -1, field.data(), static_cast<int>(field.size()));
  bson_append_iter(bson.get(), value_key, -1, &value);
  return Position(std::move(bson));
}

Position Position::behind_change(const bson_t& token) {
  Bson bson(bson_new());
  BSON_APPEND_DOCUMENT(bson.get(), token_key, &token);
  return Position(std::move(bson));
}

Position Position::clone() const { return bson_ ? Position(copy(*bson_)) : Position(); }

std::string Position::encode() const { return json_of(*bson_); }

Position Position::decode(std::string_view text, std::string_view field) {
  Position position(bson_from_json(text));
  if (!position) throw PositionError("holds no position");
  const bson_t* bson = position.bson_.get();
  bson_iter_t iter;
  if (field.empty()) {
    if (!bson_iter_init_find(&iter, bson, token_key) || !BSON_ITER_HOLDS_DOCUMENT(&iter))
      throw PositionError("is not of a change stream");
  } else {
    if (!bson_iter_init_find(&iter, bson, field_key) || !BSON_ITER_HOLDS_UTF8(&iter) ||
        field != bson_iter_utf8(&iter, nullptr))
      throw PositionError(fmt::format("is not of documents in the order of '{}'", field));
    if (!bson_iter_init_find(&iter, bson, value_key)) throw PositionError("names no last document");
  }
  return position;
}

bool Position::find(bson_iter_t& place) const noexcept {
  return bson_ && (bson_iter_init_find(&place, bson_.get(), value_key) ||
                   bson_iter_init_find(&place, bson_.get(), token_key));
}

}  // namespace microbatch::inline v0_1::mongodb
